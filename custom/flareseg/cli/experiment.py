"""``flareseg experiment``: arms by data by seeds, each run a small file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from flareseg.cli.console import console, tell
from flareseg.cli.progress import JobProgress
from flareseg.errors import ExitCode, SettingsError
from flareseg.experiment.plan import load_experiment
from flareseg.experiment.report import ExperimentReport
from flareseg.experiment.run import run_experiment

app = typer.Typer(no_args_is_help=True, add_completion=False)

ExperimentFile = Annotated[Path, typer.Argument(metavar="FILE", help="The experiment, such as experiments/joint.yaml.")]
Results = Annotated[Path, typer.Option(help="Folder of results, below it one for each experiment.")]
_RESULTS = Path("experiments/results")


@app.command(epilog="Example: flareseg experiment run experiments/joint.yaml --seeds 0")
def run(
    file: ExperimentFile,
    results: Results = _RESULTS,
    workspace: Annotated[Path, typer.Option(help="Folder for data, prepared volumes and models.")] = Path(
        "build/experiments"
    ),
    seeds: Annotated[str, typer.Option(help="Only these seeds, separated by commas.")] = "",
) -> None:
    """Run what has no result yet; an interrupted experiment goes on where it was."""
    try:
        wanted = [int(seed) for seed in seeds.split(",") if seed]
    except ValueError:
        raise SettingsError(f"--seeds {seeds}: expected whole numbers.", "For example --seeds 0,1.") from None
    with JobProgress() as show:
        whole = run_experiment(load_experiment(file), results, workspace, tell=tell, show=show, seeds=wanted)
    raise typer.Exit(ExitCode.OK if whole else ExitCode.FAILED)


@app.command(epilog="Example: flareseg experiment report experiments/joint.yaml")
def report(
    file: ExperimentFile,
    results: Results = _RESULTS,
    output: Annotated[Path, typer.Option(help="Folder for page and table.")] = Path("build/evidence"),
) -> None:
    """Write means, paired differences and their intervals as page and table, and print them."""
    found = ExperimentReport.of(load_experiment(file), results)
    page, table = found.write(output)
    for part in found.tables():
        console.print(part)
    tell(f"Page:  {page}\nTable: {table}")
