"""``flareseg site``: what a site's operator and reviewer do in the site's startup kit."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from flareseg.approval import approve as approve_job
from flareseg.cli.console import console, tell
from flareseg.errors import ExitCode
from flareseg.flare.site_check.kit import load_kit
from flareseg.flare.site_check.report import as_dict, is_ready, table
from flareseg.flare.site_check.run import check_site
from flareseg.ledger import LEDGER_FILE, read

app = typer.Typer(no_args_is_help=True, add_completion=False)

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


@app.command(epilog="Example: flareseg site approve build/fedgin-fedgs --kit hospital-a")
def approve(
    bundle: Annotated[Path, typer.Argument(help="The reviewed folder, made by flareseg job bundle.")],
    kit: KitFolder = Path("."),
) -> None:
    """Approve a job: the site runs it while every file is the reviewed one, and no job without an approval."""
    path = approve_job(bundle, kit)
    tell(f"Approved: {path}\nThis site runs the jobs in {path.parent} and no other; remove a file to withdraw it.")


@app.command(epilog="Example: flareseg site ledger --kit hospital-a --job 2c3e")
def ledger(
    kit: KitFolder = Path("."),
    job: Annotated[str, typer.Option(help="Only jobs whose id begins with this.")] = "",
) -> None:
    """List what left the site, and check that no line of the ledger was changed."""
    entries = list(read(kit / LEDGER_FILE))
    listing = Table(title=str(kit / LEDGER_FILE))
    for column in ("No", "Time (UTC)", "Job", "Task", "Round", "Kind", "Bytes", "Norm", "SHA-256"):
        listing.add_column(column, overflow="fold")
    shown = [entry for entry in entries if entry.job.startswith(job)]
    for entry in shown:
        listing.add_row(
            str(entry.number),
            f"{entry.time:%Y-%m-%d %H:%M:%S}",
            entry.job[:8],
            entry.task,
            "" if entry.round is None else str(entry.round),
            entry.kind,
            str(entry.size),
            "" if entry.norm is None else f"{entry.norm:.4g}",
            entry.sha256[:12],
        )
    console.print(listing)
    kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(Counter(entry.kind for entry in shown).items()))
    last = f", the last with SHA-256 {entries[-1].sha256}" if entries else ""
    tell(f"{kinds or 'nothing left the site'}; {len(entries)} lines, all in order{last}.")
