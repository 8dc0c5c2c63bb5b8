"""``flareseg compare``: several jobs on the same data, over seeds."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from flareseg.cli.console import console, tell
from flareseg.cli.options import Changes, Data, Rounds, changes_of
from flareseg.cli.poc import PROJECT, REPORTS, Project
from flareseg.cli.progress import JobProgress
from flareseg.errors import ExitCode, SettingsError
from flareseg.job.folder import load_job
from flareseg.job.library import find_job
from flareseg.poc.run import Plan, federation, stage, submit, watch_and_download
from flareseg.poc.workspace import PocWorkspace
from flareseg.report import load_record, report_facts
from flareseg.report.comparison import Comparison
from flareseg.report.folder import point_latest
from flareseg.report.schema import ReportFacts

EXAMPLES = "Example: flareseg compare fedavg fedgin-fedgs --seeds 0,1,2"

app = typer.Typer()


@app.command(epilog=EXAMPLES)
def compare(
    jobs: Annotated[
        list[Path],
        typer.Argument(parser=find_job, metavar="JOB...", help="Jobs; the first is what the others are compared with."),
    ],
    seeds: Annotated[str, typer.Option(help="Seeds, separated by commas.")] = "0,1,2",
    data: Data = None,
    workspace: Annotated[Path, typer.Option(help="Folder for data, kits, results and the comparison.")] = Path(
        "build/compare"
    ),
    rounds: Rounds = None,
    changes: Changes = None,
    project: Project = PROJECT,
) -> None:
    """Run each job with each seed in one federation on this machine, and print means and differences."""
    try:
        numbers = [int(seed) for seed in seeds.split(",")]
    except ValueError:
        raise SettingsError(f"--seeds {seeds}: expected whole numbers.", "For example --seeds 0,1,2.") from None
    names = [load_job(job)[0]["name"] for job in jobs]
    if len(set(names)) != len(names):
        raise SettingsError(f"Jobs should have distinct names, got {', '.join(names)}.", "Change meta.json.")
    place = PocWorkspace(workspace)
    staged = {
        (name, seed): stage(place, job, [*changes_of(rounds, changes), f"training.seed={seed}"])
        for name, job in zip(names, jobs, strict=True)
        for seed in numbers
    }
    folder = place.folder / REPORTS / f"comparison-{time.strftime('%Y%m%d-%H%M%S')}"
    runs: dict[str, list[ReportFacts]] = {name: [] for name in names}
    with federation(place, Plan(project, data), list(staged.values()), tell):
        for number, seed in enumerate(numbers):
            for name in names:
                tell(f"{name}, seed {seed}")
                with JobProgress() as show:
                    outcome = watch_and_download(place, submit(place, staged[name, seed]), show)
                runs[name].append(report_facts(load_record(outcome.result)))
            comparison = Comparison.of(runs, numbers[: number + 1])
            path = comparison.write(folder)  # after each seed: what was measured is kept
    console.print(comparison.table())
    point_latest(path.parent)
    tell(f"Comparison: {path}")
    found = {status for several in comparison.status.values() for status in several}
    if found != {"complete"}:
        tell("Not every run was complete: see status in comparison.json.")
        raise typer.Exit(ExitCode.FAILED if "failed" in found else ExitCode.SUBSET)
