"""``python -m benchmarks.privacy``: what each privacy scope costs, on the embedded data.

Five jobs in one federation of this machine, each described in ``RUNS``; what was measured is kept in
build/privacy/, and a second call goes on where the first was interrupted.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from opacus.accountants.utils import get_noise_multiplier

from benchmarks.federation import Run, federation, run_job
from benchmarks.measure import REPOSITORY
from benchmarks.wire import megabytes
from flareseg.data.phantom.write import DEFAULT_SITES
from flareseg.job.folder import load_job, stage_job
from flareseg.poc.workspace import PocWorkspace
from flareseg.privacy.dp_sgd import sample_rate
from flareseg.record.run import RunRecord
from flareseg.report import load_record, report_facts

OUTPUT = REPOSITORY / "build" / "privacy"
ROUNDS, STEPS = 10, 15
EPSILON, DELTA = 8.0, 1e-5


@dataclass(frozen=True)
class Scoped:
    """A job of the repository and the scope that it asks for."""

    job: str
    scope: str


RUNS = {
    "open": Scoped("fedgs", "open"),
    "clipped": Scoped("fedgs", "clipped"),
    "encrypted": Scoped("fedgs-encrypted", "encrypted"),
    "open, without η": Scoped("fedavg", "open"),
    "dp, without η": Scoped("fedavg", "dp"),
}
"""The jobs differ in η and in the scope, in nothing else; under dp η is refused."""


@dataclass(frozen=True)
class Price:
    """What a run gave and took.

    Attributes:
        dice: mean over the organs on the test sets, by modality.
        megabytes: on the wire in a round (before TLS), both ways, all sites.
        seconds: of a round, median.
        did: what the scope did.
        load: load average of the machine when the run ended.
    """

    dice: dict[str, float | None]
    megabytes: float
    seconds: float
    did: str
    load: float
    settings: dict[str, Any] = field(default_factory=dict)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.privacy", description="The price of each scope.")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--output", type=Path, default=OUTPUT, help="folder of results (default: %(default)s)")
    given = parser.parse_args(arguments)
    settings = {"rounds": given.rounds, "steps": given.steps}
    given.output.mkdir(parents=True, exist_ok=True)
    prices = {name: price for name in RUNS if (price := read(given.output, name, settings))}
    if prices.keys() != RUNS.keys():
        with federation(None) as workspace:
            for name in [name for name in RUNS if name not in prices]:
                prices[name] = measure(workspace, RUNS[name], settings)
                _file(given.output, name).write_text(json.dumps(asdict(prices[name]), indent=1) + "\n")
                print(f"{name}: {prices[name]}", file=sys.stderr, flush=True)
    text = table(prices)
    (given.output / "privacy.md").write_text(text)
    print(text)
    return 0


def read(folder: Path, name: str, settings: dict[str, Any]) -> Price | None:
    """What an earlier call measured with the same settings."""
    path = _file(folder, name)
    price = Price(**json.loads(path.read_text())) if path.is_file() else None
    return price if price and price.settings == settings else None


def _file(folder: Path, name: str) -> Path:
    return folder / f"{name.replace(', ', '-').replace(' ', '-')}.json"


def measure(workspace: PocWorkspace, scoped: Scoped, settings: dict[str, Any]) -> Price:
    """Run one job."""
    changes = [f"training.{name}={value}" for name, value in settings.items()]
    job = stage_job(REPOSITORY / "jobs" / scoped.job, workspace.folder / f"{scoped.job}-{scoped.scope}", changes)
    ask_for(job, scoped.scope)
    if scoped.scope == "dp":
        _, task = load_job(job)
        for site in DEFAULT_SITES:
            noise = get_noise_multiplier(
                target_epsilon=EPSILON,
                target_delta=DELTA,
                sample_rate=sample_rate(task.training.batch_size, site.training),
                steps=task.training.rounds * task.training.steps,
                accountant="rdp",
            )
            budget = {"epsilon": EPSILON, "delta": DELTA, "max_grad_norm": 1.0, "noise_multiplier": noise}
            set_scope(workspace.kits / site.name / "local", "dp", budget)
    run = run_job(workspace, job)
    return price(run, settings)


def price(run: Run, settings: dict[str, Any]) -> Price:
    """What a finished job gave and took."""
    record = load_record(run.result)
    if record.status != "complete":
        raise RuntimeError(f"{record.job_name} ended as {record.status}: {record.reason or record.ended_early}")
    return Price(
        dice=report_facts(record).dice,
        megabytes=megabytes(run, len(record.rounds)),
        seconds=statistics.median(item.seconds for item in record.rounds),
        did=deeds(record),
        load=os.getloadavg()[0],
        settings=settings,
    )


def deeds(record: RunRecord) -> str:
    """What the scope did, as the sites reported it."""
    told = [report.privacy for item in record.rounds for report in item.sites.values() if report.privacy]
    clipped = [item.clipped for item in told if item.clipped is not None]
    if clipped:
        return f"{sum(clipped)} of {len(clipped)} updates clipped"
    spent = [item for item in told if item.epsilon is not None]
    if spent:
        noise = sorted({round(item.noise_multiplier or 0, 1) for item in spent})
        return f"ε = {max(item.epsilon or 0 for item in spent):.2f}, σ = {', '.join(map(str, noise))}"
    return ""


def table(prices: dict[str, Price]) -> str:
    """The prices in Markdown."""
    base = prices["open"]
    lines = [
        "| Scope | Dice CT | Dice MR | MB a round | by open | s a round | by open | |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name in RUNS:
        item = prices[name]
        dice = " | ".join("–" if item.dice.get(kind) is None else f"{item.dice[kind]:.3f}" for kind in ("CT", "MR"))
        lines.append(
            f"| {name} | {dice} | {item.megabytes:.1f} | {item.megabytes / base.megabytes:.1f} | {item.seconds:.1f} | "
            f"{item.seconds / base.seconds:.1f} | {item.did} |"
        )
    rounds = ", ".join(f"{value} {name}" for name, value in base.settings.items())
    loads = [item.load for item in prices.values()]
    return "\n".join([*lines, "", f"{rounds}; load of the machine {min(loads):.1f} to {max(loads):.1f}.", ""])


def ask_for(job: Path, scope: str) -> None:
    """Let a staged job ask for a scope."""
    path = job / "meta.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"scope": scope}, indent=2))


def set_scope(local: Path, name: str, properties: dict[str, Any]) -> None:
    """Set a scope's properties in a kit, as its operator would."""
    path = local / "privacy.json"
    content = json.loads(path.read_text())
    (scope,) = [item for item in content["scopes"] if item["name"] == name]
    scope["properties"] = properties
    path.write_text(json.dumps(content, indent=2))


if __name__ == "__main__":
    sys.exit(main())
