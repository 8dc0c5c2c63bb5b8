"""``flareseg job``: what is submitted, reviewed and approved."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer
from rich.table import Table

from flareseg.cli.console import console, tell
from flareseg.cli.options import Changes, Job
from flareseg.cli.progress import JobProgress, end
from flareseg.flare.session import download_result, kit_user, lead_session, resume_job, wait_for_job
from flareseg.job.bundle import bundle_job
from flareseg.job.folder import TASK_FILE, load_job
from flareseg.job.library import find_job, new_job, shipped_jobs
from flareseg.job.manifest import MANIFEST, REVIEW
from flareseg.report import load_record, report_facts, summary_table
from flareseg.report.statistics import load_statistics

app = typer.Typer(no_args_is_help=True, add_completion=False)


@app.command(name="list", epilog="Example: flareseg job list")
def list_command() -> None:
    """List the jobs that come with flareseg."""
    table = Table("Job", "Scope", "Sites", "Labels", "About", box=None)
    for folder in shipped_jobs():
        meta, task = load_job(folder)
        about = (folder / TASK_FILE).read_text(encoding="utf-8").partition("\n")[0].removeprefix("# ").partition(";")[0]
        table.add_row(meta["name"], meta["scope"], f"≥ {meta['min_clients']}", ", ".join(task.labels), about)
    console.print(table)


@app.command(epilog="Example: flareseg job new liver-veins --like liver-ct-mr")
def new(
    name: Annotated[str, typer.Argument(help="The new job's name.")],
    like: Annotated[Path, typer.Option(parser=find_job, metavar="JOB", help="The job to start from.")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="The new folder.", show_default="one of the job's name")
    ] = None,
) -> None:
    """Start a job of your own with the settings of an existing one."""
    folder = output or Path(name)
    new_job(name, like, folder)
    tell(f"Job: {folder}\nIts settings are in {folder / TASK_FILE}; flareseg settings task lists every key.")
    tell(f"Try it on this machine: flareseg poc run {folder}")


@app.command(
    epilog="Examples: flareseg job bundle fedgin-fedgs -o build/fedgin-fedgs · "
    "flareseg job bundle fedavg --byoc --set training.rounds=5 -o build/fedavg-byoc"
)
def bundle(
    job: Job,
    output: Annotated[Path, typer.Option("--output", "-o", help="The new folder; an earlier bundle is replaced.")],
    byoc: Annotated[
        bool, typer.Option("--byoc", help="Carry the package in the job, for sites where it is not installed.")
    ] = False,
    changes: Changes = None,
) -> None:
    """Write a job as it is submitted, with the SHA-256 of each file and a page for the sites' reviewers."""
    digest = bundle_job(job, output, changes or [], byoc=byoc)
    tell(f"Job:      {output}\nReview:   {output / REVIEW}\nManifest: {output / MANIFEST}\nDigest:   {digest}")
    tell(f"Submit:   nvflare job submit -j {output} --startup-kit KIT")


@app.command(epilog="Example: flareseg job resume 6a1f4c1e-0e4b-4d2a-9a53-0c6f3f0f7d11 --kit kits/lead@example.org")
def resume(
    job_id: Annotated[str, typer.Argument(metavar="JOB_ID", help="Id of the job that stopped before its end.")],
    kit: Annotated[Path, typer.Option(help="Startup kit of who submitted it.")],
) -> None:
    """Submit a job that goes on from the last complete round of an earlier one, to the same result."""
    with lead_session(kit_user(kit), kit) as session:
        new = resume_job(session, job_id)
    tell(f"Job {new} submitted; it resumes {job_id}")


@app.command(epilog="Example: flareseg job watch 6a1f4c1e-0e4b-4d2a-9a53-0c6f3f0f7d11 --kit kits/lead@example.org")
def watch(
    job_id: Annotated[str, typer.Argument(metavar="JOB_ID", help="Id of the job.")],
    kit: Annotated[Path, typer.Option(help="Startup kit of who submitted it.")],
) -> None:
    """Show how a job goes until it ends, and exit as it ended. Ctrl-C leaves the job running."""
    with lead_session(kit_user(kit), kit) as session:
        try:
            with JobProgress() as show:
                status = wait_for_job(session, job_id, show)
        except KeyboardInterrupt:
            tell(f"Job {job_id} goes on.")
            raise
        with TemporaryDirectory(prefix="flareseg-watch-") as folder:
            result = download_result(session, job_id, status, Path(folder))
            if load_statistics(result) is not None:
                end("complete", status)
            record = load_record(result)
    facts = report_facts(record)
    console.print(summary_table(facts))
    end(facts.status, status)
