"""``flareseg data withdraw``: a patient takes their consent back."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from flareseg.cli.console import console, tell
from flareseg.config.site import SITE_FILE, load_site
from flareseg.data.datalist import list_cases
from flareseg.data.withdrawal import exclude, forget
from flareseg.errors import SettingsError
from flareseg.report.withdrawal import JobUse, find_withdrawal

EXAMPLES = (
    "Examples: flareseg data withdraw volume-53 --kit hospital-a · "
    "flareseg data withdraw sub-07 --kit hospital-a --yes. What can then be done: docs/data.md, Withdrawal."
)


def withdraw(
    case: Annotated[str, typer.Argument(help="A case by its name or that of its file, or a patient: all their cases.")],
    kit: Annotated[Path, typer.Option("--kit", help="The site's startup kit.")] = Path("."),
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Take a patient's cases out of the site's data from now on, and list the jobs that used them."""
    site_file = kit / "local" / SITE_FILE
    site = load_site(site_file)
    listed = [each for several in list_cases(site.data).splits.values() for each in several]
    found = find_withdrawal(case, listed, kit)
    if not found.cases and not found.used:
        raise SettingsError(
            f"{site_file}: no case and no patient {case!r} is in the data of this site, nor was used by a job.",
            "Names are those of flareseg data check, of the files, or of patients in the datalist.",
        )
    tell(
        "Cases: "
        + ", ".join(dict.fromkeys([*(each.name for each in found.cases), *(used.name for used in found.used)]))
    )
    _show(found.jobs, "Jobs that used them")
    _show(found.unknown, "Jobs that ran before used cases were written down: whether they used them is not known")
    if not yes:
        typer.confirm("Take these cases out of the site's data?", abort=True)
    before = exclude(site_file, [each.name for each in found.cases])
    keys = {used.key for used in found.used if used.key}
    removed = forget(site.cache or kit / "cache", sorted(keys), found.cases)
    if before:
        tell(f"{site_file} excludes them now; it was written anew, the old one is {before}.")
    tell(f"{removed} entries of the cache removed. Jobs from now on do not see these cases.")
    for path in dict.fromkeys(path for each in found.cases for path in each.files):
        tell(f"Still there, for you to delete or keep: {path}")
    trained = [job for job in found.jobs if job.trained]
    for path in (path for job in trained for path in job.files):
        tell(f"Holds what was learned with them, or speaks of it: {path}")
    if trained:
        tell(
            f"The global models of {len(trained)} jobs were trained with them, from the first round named on. Tell the "
            "lead: a model cannot be made to forget, it can be trained anew without (docs/data.md, Withdrawal)."
        )


def _show(jobs: Iterable[JobUse], title: str) -> None:
    table = Table(title=title, title_justify="left")
    for column in ("Job", "Task", "Time (UTC)", "Cases", "Changes of the model sent", "Other things sent"):
        table.add_column(column, overflow="fold")
    for job in jobs:
        rounds = f"rounds {min(job.rounds) + 1} to {max(job.rounds) + 1}" if job.rounds else "none"
        cases = ", ".join(f"{count} {split}" for split, count in job.splits.items()) or "?"
        table.add_row(job.job, job.task or "?", f"{job.time:%Y-%m-%d %H:%M}", cases, rounds, str(job.sent))
    if table.row_count:
        console.print(table)
