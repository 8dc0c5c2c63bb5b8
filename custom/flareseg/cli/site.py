"""``flareseg site``: what a site's operator types."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from flareseg.cli.console import console, tell
from flareseg.errors import ExitCode
from flareseg.flare.site_check.kit import load_kit
from flareseg.flare.site_check.report import as_dict, is_ready, table
from flareseg.flare.site_check.run import check_site

app = typer.Typer(no_args_is_help=True, help="Run a site.")

KitFolder = Annotated[Path, typer.Option("--kit", help="The site's startup kit.")]


@app.command(epilog="Examples: flareseg site check · flareseg site check --kit /opt/nvflare/hospital-a --job bundle")
def check(
    kit: KitFolder = Path("."),
    job: Annotated[Path | None, typer.Option(help="A job that is to run here: a job folder or bundle.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Say whether this site is ready to join, and what to do where it is not. Exit code 0 ready, 2 not ready."""
    place = load_kit(kit)
    checks = check_site(place, job)
    if as_json:
        typer.echo(json.dumps(as_dict(place.name, checks), indent=2))
    else:
        console.print(table(place.name, checks))
        tell("Ready." if is_ready(checks) else "Not ready: mend the red lines and check again.")
    raise typer.Exit(ExitCode.OK if is_ready(checks) else ExitCode.BAD_INPUT)
