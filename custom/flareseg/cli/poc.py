"""``flareseg poc``: a federation on one machine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from flareseg.cli.console import console, tell
from flareseg.cli.options import Changes, Data, Job, Rounds, changes_of
from flareseg.cli.progress import JobProgress, end
from flareseg.errors import ExitCode
from flareseg.poc.run import Outcome, Plan, resume, run_job, stage, start_federation, submit, watch_and_download
from flareseg.poc.site_words import site_failures
from flareseg.poc.workspace import PocWorkspace
from flareseg.processes import processes_of
from flareseg.report import load_record, report_facts, summary_table, write_report
from flareseg.report.folder import report_folder
from flareseg.report.owner import model_line, next_line, winner_file, write_owner_pages
from flareseg.report.statistics import load_statistics, write_statistics
from flareseg.shipped import shipped

app = typer.Typer(no_args_is_help=True, add_completion=False)

Workspace = Annotated[Path, typer.Option(help="Folder for data, kits, logs, result and report.")]
Project = Annotated[Path, typer.Option(help="Provisioning project to start from.", show_default="the one of flareseg")]

REPORTS = "report"
_WORKSPACE = Path("build/poc")
PROJECT = shipped("poc/project.yml")


def _finish(workspace: PocWorkspace, outcome: Outcome) -> None:
    """Write the report, print the table, and exit as the run ended."""
    result = outcome.result
    statistics = load_statistics(result)
    if statistics is not None:
        folder = report_folder(workspace.folder / REPORTS, "statistics", result.name)
        tell(f"Statistics: {write_statistics(statistics, folder)}\nResult: {result}")
        end("complete", outcome.status)
    record = load_record(result)
    folder = report_folder(workspace.folder / REPORTS, record.job_name, record.job_id)
    model = winner_file(record, result)
    html, facts_file = write_report(record, folder, model=model)  # at once; the pages with images take longer
    facts = report_facts(record)
    console.print(summary_table(facts))
    failed = sorted({*record.evaluation.failed, *(site for item in record.rounds for site in item.failed)})
    for site, words in site_failures(workspace.kits, failed, record.job_id).items():
        tell(f"{site} says: {words}")
    tell(f"Report: {html}\nFacts:  {facts_file}")
    links = write_owner_pages(record, result, workspace.kits, folder / "sites", tell)
    if links:
        write_report(record, folder, links=links, model=model)
        tell("\n".join(f"Images: {folder / page}" for _, page in links))
    tell(f"Result: {result}\n{model_line(result)}".rstrip())
    if links and (line := next_line(record, result, workspace.kits / links[-1][0])):
        tell(line)
    end(facts.status, outcome.status)


@app.command(
    epilog="Examples: flareseg poc run fedgin-fedgs · "
    "flareseg poc run fedavg --rounds 5 --set training.seed=1 --workspace build/fedavg"
)
def run(
    job: Job,
    data: Data = None,
    workspace: Workspace = _WORKSPACE,
    rounds: Rounds = None,
    changes: Changes = None,
    project: Project = PROJECT,
) -> None:
    """Provision, start, submit, watch, download, report, and stop everything."""
    place = PocWorkspace(workspace)
    with JobProgress() as show:
        outcome = run_job(place, job, changes_of(rounds, changes), Plan(project, data), tell=tell, show=show)
    _finish(place, outcome)


@app.command(epilog="Example: flareseg poc start --data build/data")
def start(data: Data = None, workspace: Workspace = _WORKSPACE, project: Project = PROJECT) -> None:
    """Provision and start server and sites; they run until *flareseg poc stop*."""
    place = PocWorkspace(workspace)
    start_federation(place, Plan(project, data), tell)
    user, kit = place.lead_kit
    tell(f"Running. Lead: {user}, kit {kit}")


@app.command(name="submit", epilog="Example: flareseg poc submit fedavg --rounds 5")
def submit_command(job: Job, workspace: Workspace = _WORKSPACE, rounds: Rounds = None, changes: Changes = None) -> None:
    """Submit a job to the running federation, watch it, download and report its result."""
    place = PocWorkspace(workspace)
    job_id = submit(place, stage(place, job, changes_of(rounds, changes)))
    tell(f"Job {job_id} submitted by {place.lead_kit[0]}")
    with JobProgress() as show:
        outcome = watch_and_download(place, job_id, show)
    _finish(place, outcome)


@app.command(name="resume", epilog="Example: flareseg poc resume 6a1f4c1e-0e4b-4d2a-9a53-0c6f3f0f7d11")
def resume_command(
    job_id: Annotated[str, typer.Argument(metavar="JOB_ID", help="Id of the job that stopped before its end.")],
    workspace: Workspace = _WORKSPACE,
) -> None:
    """Go on from the last complete round of a job that stopped, watch, download and report."""
    place = PocWorkspace(workspace)
    new = resume(place, job_id)
    tell(f"Job {new} submitted by {place.lead_kit[0]}; it resumes {job_id}")
    with JobProgress() as show:
        outcome = watch_and_download(place, new, show)
    _finish(place, outcome)


@app.command(epilog="Example: flareseg poc status")
def status(workspace: Workspace = _WORKSPACE) -> None:
    """Say whether the federation runs; exit code 0 if it does, 1 if not."""
    running = processes_of(PocWorkspace(workspace).poc)
    tell(f"{workspace}: {f'running, {len(running)} processes' if running else 'not running'}")
    raise typer.Exit(ExitCode.OK if running else ExitCode.FAILED)


@app.command(epilog="Example: flareseg poc stop")
def stop(workspace: Workspace = _WORKSPACE) -> None:
    """Stop server and sites and wait until they are gone."""
    ended = PocWorkspace(workspace).stop()
    tell(f"Stopped {len(ended)} processes." if ended else f"{workspace}: no federation runs here.")
