"""``flareseg site``: what a site's operator and reviewer do in the site's startup kit."""

from __future__ import annotations

import json
from collections import Counter
from datetime import datetime, timezone
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from flareseg.cli.console import console, tell
from flareseg.errors import ExitCode
from flareseg.flare.site_check.kit import load_kit
from flareseg.flare.site_check.report import as_dict, is_ready, table
from flareseg.flare.site_check.run import check_site
from flareseg.job.approval import approve as approve_job
from flareseg.job.approval import check_site_kit, look_at
from flareseg.privacy.budget import Budget, spent_epsilon
from flareseg.privacy.ledger import LEDGER_FILE, chain_end, read_ledger
from flareseg.privacy.scopes import DifferentialPrivacy, load_scope

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
    bundle: Annotated[Path, typer.Argument(help="A folder made by flareseg job bundle.")],
    kit: KitFolder = Path("."),
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask: the review was read.")] = False,
) -> None:
    """Show what a job does and approve it: the site runs it while every file is the one shown, and no other job."""
    check_site_kit(kit)
    reviewed = look_at(bundle)
    typer.echo(reviewed.text)
    if not yes:
        typer.confirm("Approve this job?", abort=True)
    path = approve_job(reviewed, kit)
    tell(f"Approved: {path}\nThis site runs the jobs in {path.parent} and no other; remove a file to withdraw it.")


@app.command(epilog="Example: flareseg site ledger --kit hospital-a --job 2c3e")
def ledger(
    kit: KitFolder = Path("."),
    job: Annotated[str, typer.Option(help="Only jobs whose id begins with this.")] = "",
) -> None:
    """List what left the site, and check that no line of the ledger was changed."""
    path = kit / LEDGER_FILE
    entries = list(read_ledger(path))
    listing = Table(title=str(path))
    for column in ("No", "Time (UTC)", "Job", "Task", "Round", "Kind", "To", "Bytes", "Norm", "SHA-256"):
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
            entry.recipient,
            str(entry.size),
            "" if entry.norm is None else f"{entry.norm:.4g}",
            entry.sha256[:12],
        )
    console.print(listing)
    kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(Counter(entry.kind for entry in shown).items()))
    tell(f"{kinds or 'nothing'}; {len(entries)} lines, all in order. The chain ends with {chain_end(path)}.")


@app.command(epilog="Example: flareseg site budget --kit hospital-a")
def budget(kit: KitFolder = Path(".")) -> None:
    """Show what the jobs at this site have spent of its privacy budget (scope dp)."""
    scope = load_scope(kit / "local" / "privacy.json", DifferentialPrivacy)
    site = Budget.of_site(kit, scope)
    spendings = site.spendings()
    listing = Table(title=str(site.path))
    for column in ("Time (UTC)", "Job", "Steps", "σ", "q", "ε with it"):
        listing.add_column(column)
    for number, item in enumerate(spendings, start=1):
        listing.add_row(
            f"{datetime.fromtimestamp(item.time, timezone.utc):%Y-%m-%d %H:%M:%S}",
            item.job[:8],
            str(item.steps),
            f"{item.noise_multiplier:g}",
            f"{item.sample_rate:.4g}",
            f"{spent_epsilon(spendings[:number], scope.delta):.3f}",
        )
    console.print(listing)
    tell(f"ε = {spent_epsilon(spendings, scope.delta):.3f} of {scope.epsilon:g} spent, at δ = {scope.delta:g}.")
