"""Runs what is missing of an experiment, one cell after the other."""

from __future__ import annotations

import hashlib
import json
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import flareseg
from flareseg.config.settings import set_keys
from flareseg.config.task import Task
from flareseg.data.phantom import PHANTOM_VERSION
from flareseg.data.phantom.sites import write_sites
from flareseg.errors import SettingsError
from flareseg.experiment.plan import ArmSettings, Cell, DataSet, Experiment
from flareseg.experiment.result import CaseResult, CellResult, load_cell
from flareseg.job.folder import load_job, stage_job
from flareseg.job.library import find_job
from flareseg.simulation.places import sites_below
from flareseg.simulation.run import OnProgress, simulate


def run_experiment(
    experiment: Experiment,
    results: Path,
    workspace: Path,
    *,
    tell: Callable[[str], None],
    show: OnProgress,
    seeds: Sequence[int] = (),
) -> bool:
    """Run every cell that has no result yet, or one of other settings.

    Args:
        experiment: what to run.
        results: folder that holds a folder for each experiment.
        workspace: for data, prepared volumes and models, which are of no use afterwards.
        tell: called with a line before and after each cell.
        show: called after each round.
        seeds: only these of the experiment's; all where not given.

    Returns:
        Whether every run was complete.

    Raises:
        FlaresegError: an arm cannot be run; what was run before is kept.
    """
    unknown = sorted(set(seeds) - set(experiment.seeds))
    if unknown:
        raise SettingsError(f"{experiment.name}: has no seed {unknown[0]}.", f"It has {experiment.seeds}.")
    cells = [cell for cell in experiment.cells() if not seeds or cell.seed in seeds]
    folder, whole = results / experiment.name, True
    spent: list[float] = []
    with tempfile.TemporaryDirectory() as place:
        staged = {cell: stage_cell(experiment, cell, Path(place)) for cell in cells}  # a wrong setting is found at once
        missing = [cell for cell in cells if not _is_there(folder / cell.file, _digest(experiment, cell, staged[cell]))]
        tell(f"{experiment.name}: {len(cells) - len(missing)} of {len(cells)} runs are there")
        for number, cell in enumerate(missing):
            left = f", about {_mean(spent) * (len(missing) - number) / 60:.0f} min left" if spent else ""
            tell(f"{experiment.name} {number + 1}/{len(missing)}: {cell.data}, {cell.arm}, seed {cell.seed}{left}")
            result = _run(experiment, cell, staged[cell], workspace, show)
            result.write(folder / cell.file)
            spent.append(result.seconds)
            whole = whole and result.status in ("complete", "unimproved")
    return whole


def stage_cell(experiment: Experiment, cell: Cell, place: Path) -> Path:
    """Copy the experiment's job with the settings of one run, below a folder."""
    changes = _joined(experiment.set, experiment.arms[cell.arm].set, (f"training.seed={cell.seed}",))
    return stage_job(find_job(experiment.job), place / cell.file / cell.arm, changes)


def _joined(*several: Sequence[str]) -> list[str]:
    """Changes of several levels, where the last word on a key counts."""
    last: dict[str, str] = {}
    for changes in several:
        set_keys({}, changes)
        last |= {change.partition("=")[0]: change for change in changes}
    return list(last.values())


def _run(experiment: Experiment, cell: Cell, job: Path, workspace: Path, show: OnProgress) -> CellResult:
    data, arm = experiment.data[cell.data], experiment.arms[cell.arm]
    files = _files(data, workspace / "data" / f"{experiment.name}-{cell.data}")
    digest, commit = _digest(experiment, cell, job), commit_of(Path(__file__).parent)
    started, processor = time.perf_counter(), time.process_time()
    simulated = simulate(
        job,
        files,
        workspace / "runs" / experiment.name / cell.file,
        train=arm.train,
        pooled=arm.pooled,
        cache=workspace / "cache" / f"{experiment.name}-{cell.data}",
        show=show,
    )
    record = simulated.record
    task, evaluation = Task.model_validate(record.task), record.evaluation
    scores = [item.mean for item in evaluation.validation.get(evaluation.winner or "", {}).values()]
    known = [value for value in scores if value is not None]
    return CellResult(
        experiment=experiment.name,
        data=cell.data,
        arm=cell.arm,
        seed=cell.seed,
        digest=digest,
        commit=commit,
        version=flareseg.__version__,
        packages=record.versions,
        phantom=PHANTOM_VERSION if data.embedded else None,
        status=record.status,
        winner=evaluation.winner,
        rounds_done=record.models[evaluation.winner].rounds_done if evaluation.winner else None,
        validation=_mean(known) if known else None,
        modalities=record.modalities,
        organs=list(task.organs),
        lesion=task.lesion.label if task.lesion else None,
        cases={site: [CaseResult.of(case) for case in cases] for site, cases in simulated.cases.items()},
        seconds=round(time.perf_counter() - started, 1),
        processor_seconds=round(time.process_time() - processor, 1),
        task=record.task,
    )


def _files(data: DataSet, place: Path) -> Mapping[str, Path]:
    if data.folder is not None:
        return sites_below(data.folder)
    write_sites(place, data.phantom_sites())
    return sites_below(place, list(data.embedded))


def _is_there(path: Path, digest: str) -> bool:
    return path.is_file() and load_cell(path).digest == digest


def _digest(experiment: Experiment, cell: Cell, job: Path) -> str:
    """SHA-256 of what decides the result: the task, who trains, the data."""
    arm: ArmSettings = experiment.arms[cell.arm]
    data = experiment.data[cell.data]
    content = {
        "task": load_job(job)[1].digest(),
        "train": arm.train,
        "pooled": arm.pooled,
        "data": data.model_dump(mode="json"),
        "phantom": PHANTOM_VERSION if data.embedded else None,
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def commit_of(folder: Path) -> str | None:
    """The commit of the checkout that a folder belongs to, with ``+`` where modules differ; None without one."""
    try:
        commit, changed = (
            subprocess.run(["git", "-C", folder, *words], capture_output=True, text=True, check=True).stdout.strip()
            for words in (["rev-parse", "--short=12", "HEAD"], ["status", "--porcelain", "--", "."])
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return f"{commit}+" if changed else commit


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
