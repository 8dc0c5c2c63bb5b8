"""What a check found, and its remedy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import Enum
from typing import Any

from rich.table import Table


class Verdict(str, Enum):
    """How a check ended; only RED keeps a site from joining."""

    GREEN = "ok"
    YELLOW = "warning"
    RED = "not ready"
    SKIPPED = "not checked"


_STYLES = {Verdict.GREEN: "green", Verdict.YELLOW: "yellow", Verdict.RED: "bold red", Verdict.SKIPPED: "dim"}


@dataclass(frozen=True)
class Check:
    """One line of the table.

    Attributes:
        name: what was checked.
        status: how it ended.
        found: what was found; stays at the site.
        remedy: what the operator does; empty where nothing is to be done.
    """

    name: str
    status: Verdict
    found: str
    remedy: str = ""


def green(name: str, found: str) -> Check:
    """A check that passed."""
    return Check(name, Verdict.GREEN, found)


def yellow(name: str, found: str, remedy: str) -> Check:
    """A check that passed with a doubt."""
    return Check(name, Verdict.YELLOW, found, remedy)


def red(name: str, found: str, remedy: str) -> Check:
    """A check that failed."""
    return Check(name, Verdict.RED, found, remedy)


def is_ready(checks: Sequence[Check]) -> bool:
    """No check is red."""
    return all(check.status is not Verdict.RED for check in checks)


def table(site: str, checks: Sequence[Check]) -> Table:
    """The checks as a table, with one remedy for each red or yellow line."""
    result = Table(title=f"Site {site}", show_lines=True)
    for column in ("Check", "Status", "Found", "What to do"):
        result.add_column(column, overflow="fold")
    for check in checks:
        style = _STYLES[check.status]
        result.add_row(check.name, f"[{style}]{check.status.value}[/]", _plain(check.found), _plain(check.remedy))
    return result


def as_dict(site: str, checks: Sequence[Check]) -> dict[str, Any]:
    """For ``--json``."""
    return {
        "site": site,
        "ready": is_ready(checks),
        "checks": [{**asdict(check), "status": check.status.value} for check in checks],
    }


def _plain(text: str) -> str:
    return text.replace("[", r"\[")
