"""``flareseg data``: prepare, check and withdraw what a site trains with, and write the embedded data."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.progress import Progress

from flareseg.cli import check, prepare, withdraw
from flareseg.cli.console import console, tell
from flareseg.data.phantom import DEFAULT_SITES
from flareseg.data.phantom.sites import write_sites

app = typer.Typer(no_args_is_help=True, add_completion=False)
app.command(epilog=prepare.EXAMPLES)(prepare.prepare)
app.command(epilog=check.EXAMPLES)(check.check)
app.command(epilog=withdraw.EXAMPLES)(withdraw.withdraw)


@app.command(epilog="Example: flareseg data phantom build/data --seed 1")
def phantom(
    dest: Annotated[Path, typer.Argument(help="Folder for the sites.")],
    seed: Annotated[int, typer.Option(min=0, help="Seed of the whole data set.")] = 0,
) -> None:
    """Write the embedded abdomen: CT sites ct-a and ct-b, MR site mr-a, as NIfTI with a site.yaml each."""
    with Progress(console=console) as progress:
        bar = progress.add_task("sites", total=len(DEFAULT_SITES))
        write_sites(dest, seed=seed, done=lambda site: progress.advance(bar))
    for site in DEFAULT_SITES:
        counts = f"{site.training} training, {site.validation} validation, {site.testing} test volumes"
        tell(f"{dest / site.name}: {site.modality}, {counts}")
