"""``make soak``: many rounds on the embedded data; memory, threads and open files of every process."""

from __future__ import annotations

import argparse
import json
import signal
import sys
import tempfile
import time
from collections import defaultdict
from configparser import ConfigParser
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

import psutil
from rich.console import Console
from rich.table import Table

from flareseg.data.phantom.sites import write_sites
from flareseg.flare.provision.kit import UNIT, write_site_file
from flareseg.processes import processes_of
from flareseg.record.run import RunRecord
from flareseg.report import load_record
from secure_federation import SecureFederation

FIRST = 10
WINDOW = 5
"""A value at a round is the median of the samples taken during the five rounds that end there."""
COUNTED = ("threads", "files")
"""Their peaks in the two halves are compared: they swing by a third with the messages of the last 15 s, and NVFlare's
pools (``frame_mgr`` has up to 100) start a thread whenever all they have are busy. A leak goes on to the end."""
MIB = 2**20
MOST_GROWTH = 0.05
SMALL = ["training.steps=2", "training.batch_size=4", "training.validate_every=25"]


@dataclass
class Sample:
    """One look at a process; bytes.

    ``own`` (the kernel's ``Anonymous``) is what a process has allocated, the measure of a leak. ``mapped`` is what it
    maps from files: libraries, and the prepared volumes, of which a site reads more from round to round until it has
    seen all, or until ``memory_gib`` of its site.yaml; the kernel takes those pages back when it needs them. ``uss``
    (own to the process) and ``rss`` (all) count both.
    """

    round: int
    own: int
    mapped: int
    uss: int
    rss: int
    threads: int
    files: int


class Embedded(SecureFederation):
    """Three hospitals with the embedded data, in the environment that their systemd unit sets."""

    def provision(self) -> None:
        self.workspace.provision()
        unit = ConfigParser(interpolation=None)
        unit.read(UNIT)
        for setting in unit["Service"]["Environment"].split():
            name, _, value = setting.partition("=")
            if name != "PATH":  # the unit's own Python
                self.workspace.environment[name] = value
        write_sites(self.sites)
        sources = sorted(self.sites.glob("*/site.yaml"))
        for name, source in zip(self.site_names, sources, strict=True):
            write_site_file(source, self.kit(name) / "local")


def look(federation: Embedded, job_id: str, samples: dict[str, list[Sample]], done: int) -> None:
    """Take a sample of every Python process of the federation."""
    workspace = federation.workspace
    for process in processes_of(workspace.poc):
        try:
            command = process.cmdline()
            if "python" not in Path(command[0]).name:
                continue
            kit = next(part for part in command if str(workspace.poc) in part)
            name = Path(kit).relative_to(workspace.kits).parts[0]
            kind = "job" if job_id in command else "parent"
            memory = kernel_counts(process.pid)
            own, rss = memory["Anonymous"], memory["Rss"]
            uss = memory["Private_Clean"] + memory["Private_Dirty"]
            sample = Sample(done, own, rss - own, uss, rss, process.num_threads(), process.num_fds())
        except (psutil.Error, OSError, StopIteration, IndexError):
            continue
        samples[f"{name} {kind}"].append(sample)


def kernel_counts(pid: int) -> dict[str, int]:
    """The kernel's account of a process's memory, in bytes."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
    return {line.split(":")[0]: int(line.split()[1]) * 1024 for line in lines}


def watch(federation: Embedded, job_id: str, rounds: int) -> tuple[dict[str, list[Sample]], list[float]]:
    """Sample until the last round is complete; also the times at which rounds were complete."""
    record = federation.kit(federation.server) / job_id / "flareseg" / "record.json"
    samples: dict[str, list[Sample]] = defaultdict(list)
    times: list[float] = []
    began = time.monotonic()
    while len(times) < rounds:
        try:
            items = RunRecord.model_validate_json(record.read_text()).rounds
            done = sum(1 for item in items if item.seconds)
        except OSError:
            done = 0
            if times:
                break
        times += [time.monotonic() - began] * (done - len(times))
        assert time.monotonic() - (began + (times[-1] if times else 0)) < 300, f"no round after {done}"
        if done:
            look(federation, job_id, samples, done)
        time.sleep(0.5)
    return samples, times


def rows(samples: dict[str, list[Sample]], last: int) -> list[dict[str, Any]]:
    """Each process: memory at the first and the last round, and the most threads and files in each half."""
    found: list[dict[str, Any]] = []
    for name, taken in sorted(samples.items()):
        row: dict[str, Any] = {"process": name}
        for key in ("own", "mapped", "uss", "rss"):
            early, late = (
                median(getattr(item, key) for item in taken if end - WINDOW < item.round <= end)
                for end in (FIRST, last)
            )
            row |= {
                f"{key}_at_{FIRST}": early,
                f"{key}_at_{last}": late,
                f"{key}_growth": late / early - 1 if early else 0.0,
            }
        for key in COUNTED:
            row[f"{key}_peaks"] = [
                max(getattr(item, key) for item in taken if begin <= item.round <= end)
                for begin, end in ((FIRST, last // 2), (last // 2 + 1, last))
            ]
        found.append(row)
    return found


def main() -> int:
    """Run the soak; exit code 1 when a process grew."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--output", type=Path, default=Path("build/soak.json"))
    wanted = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # whoever ends this ends the federation too
    last = wanted.rounds
    console = Console(width=140)
    with tempfile.TemporaryDirectory(prefix="flareseg-soak-") as folder:
        federation = Embedded(Path(folder) / "run")
        try:
            federation.provision()
            federation.start()
            job_id = federation.submit([*SMALL, f"training.rounds={last}"])
            samples, times = watch(federation, job_id, last)
            record = load_record(federation.result(job_id))
        finally:
            federation.close()
    found = rows(samples, last)
    table = Table(title=f"{last} rounds; round 10 after {times[9]:.0f} s, round {last} after {times[-1]:.0f} s; MiB")
    for column in ("Process", "own 10", f"own {last}", "growth", "mapped", "USS", "RSS", "Most threads", "Most files"):
        table.add_column(column, justify="left" if column == "Process" else "right")
    problems = [] if record.status == "complete" else [f"the run ended as {record.status}: {record.reason}"]
    expected = {f"{name} {kind}" for name in (federation.server, *federation.site_names) for kind in ("job", "parent")}
    problems += [f"never seen: {name}" for name in sorted(expected - {row["process"] for row in found})]
    for row in found:
        grown = row["own_growth"] > MOST_GROWTH
        peaks = {key: row[f"{key}_peaks"] for key in COUNTED}
        counts = [key for key, (early, late) in peaks.items() if late > early * 1.05 + 2]
        problems += [f"{row['process']}: memory"] * grown + [f"{row['process']}: {key}" for key in counts]
        own = [f"{row[f'own_at_{number}'] / MIB:.1f}" for number in (FIRST, last)]
        change = [f"{100 * row[f'{key}_growth']:+.1f} %" for key in ("own", "uss", "rss")]
        mapped = f"{(row[f'mapped_at_{last}'] - row[f'mapped_at_{FIRST}']) / MIB:+.1f}"
        counted = [f"{early} → {late}" for early, late in peaks.values()]
        red = "[red]" if grown else ""
        table.add_row(str(row["process"]), *own, red + change[0], mapped, *change[1:], *counted)
    console.print(table)
    console.print(
        "\n".join(problems)
        or "no growth beyond 5 % in memory, nor in the second half beyond 5 % and two in threads or files"
    )
    wanted.output.parent.mkdir(parents=True, exist_ok=True)
    every = {name: [asdict(item) for item in taken] for name, taken in samples.items()}
    wanted.output.write_text(json.dumps({"rows": found, "problems": problems, "times": times, "samples": every}) + "\n")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
