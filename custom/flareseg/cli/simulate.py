"""``flareseg simulate``: a job in one process, to the bits of a federation."""

from __future__ import annotations

import tempfile
from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from flareseg.cli.console import console, tell
from flareseg.cli.options import Changes, Data, Job, Rounds, changes_of
from flareseg.cli.progress import JobProgress
from flareseg.data.phantom.sites import write_sites
from flareseg.errors import ExitCode
from flareseg.job.folder import stage_job
from flareseg.report import report_facts, summary_table, write_report
from flareseg.report.folder import report_folder
from flareseg.report.owner import winner_file
from flareseg.simulation.places import sites_below
from flareseg.simulation.run import simulate as run_in_process

EXAMPLES = (
    "Examples: flareseg simulate fedgin-fedgs --rounds 5 · "
    "flareseg simulate fedavg --data build/data --sites ct-a,mr-a --arm pooled"
)

app = typer.Typer()


class Arm(str, Enum):
    """How the sites train."""

    FEDERATED = "federated"
    LOCAL = "local"
    POOLED = "pooled"


@app.command(epilog=EXAMPLES)
def simulate(
    job: Job,
    data: Data = None,
    sites: Annotated[str, typer.Option(help="Sites that take part, separated by commas; all where not given.")] = "",
    arm: Annotated[
        Arm, typer.Option(help="One federation, each site alone (a run for each), or all data in one place.")
    ] = Arm.FEDERATED,
    workspace: Annotated[Path, typer.Option(help="Folder for data, cache, results and reports.")] = Path(
        "build/simulation"
    ),
    rounds: Rounds = None,
    changes: Changes = None,
) -> None:
    """Train, choose and test as server and sites would, one site after the other, and report."""
    if data is None:
        data = workspace / "data"
        tell(f"Embedded data in {data}")
        write_sites(data)
    files = sites_below(data, [name for name in sites.split(",") if name])
    alone = list(files) if arm is Arm.LOCAL else [None]
    statuses = set()
    with tempfile.TemporaryDirectory() as place:
        staged = stage_job(job, Path(place) / job.resolve().name, changes_of(rounds, changes))
        for name in alone:
            if name is not None:
                tell(f"{name} alone")
            folder = workspace / "result" / "-".join([staged.name, arm.value, *([name] if name else [])])
            train = None if name is None else (name,)
            with JobProgress() as show:
                record = run_in_process(
                    staged,
                    files,
                    folder,
                    train=train,
                    pooled=arm is Arm.POOLED,
                    cache=workspace / "cache",
                    show=show,
                ).record
            facts = report_facts(record)
            console.print(summary_table(facts))
            output = report_folder(workspace / "report", folder.name, record.job_id)
            html, _ = write_report(record, output, model=winner_file(record, folder))
            tell(f"Report: {html}\nResult: {folder}")
            statuses.add(facts.status)
    raise typer.Exit(ExitCode.OK if statuses == {"complete"} else ExitCode.FAILED)
