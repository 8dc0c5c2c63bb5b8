"""``flareseg job``: what is submitted, reviewed and approved."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from flareseg.bundle import bundle_job
from flareseg.cli.console import tell
from flareseg.cli.poc import Changes, Job
from flareseg.manifest import MANIFEST, REVIEW

app = typer.Typer(no_args_is_help=True, help="Make jobs to be submitted.")


@app.command(
    epilog="Examples: flareseg job bundle jobs/fedgin-fedgs -o build/fedgin-fedgs · "
    "flareseg job bundle jobs/fedavg --byoc --set training.rounds=5 -o build/fedavg-byoc"
)
def bundle(
    job: Job,
    output: Annotated[Path, typer.Option("--output", "-o", help="The new folder; an earlier bundle is replaced.")],
    byoc: Annotated[
        bool, typer.Option("--byoc", help="Carry the package in the job, for sites where it is not installed.")
    ] = False,
    changes: Changes = None,
) -> None:
    """Write a job as it is submitted, with the SHA-256 of each file and a page in words for the sites' reviewers."""
    digest = bundle_job(job, output, changes or [], byoc=byoc)
    tell(f"Job:      {output}\nReview:   {output / REVIEW}\nManifest: {output / MANIFEST}\nDigest:   {digest}")
    tell(f"Submit:   nvflare job submit -j {output} --startup-kit KIT")
