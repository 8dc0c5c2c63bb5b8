"""What a fault did, as a row of the table."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from typing import Any

from rich.table import Table


@dataclass
class Finding:
    """One fault.

    Attributes:
        fault: what was done.
        happened: what was seen.
        notice: seconds until it was said in a log or a record; None where nothing had to be noticed.
        recover: seconds until the next complete round; None where the run ended with a clear word.
        lost: complete rounds that had to be run again.
        model: equal to the unbroken run, or why not.
    """

    fault: str
    happened: str = ""
    notice: float | None = None
    recover: float | None = None
    lost: int = 0
    model: str = ""
    problem: str = ""

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


class Stopwatch:
    """Seconds since a fault was made."""

    def __init__(self) -> None:
        self._began = time.monotonic()

    def seconds(self) -> float:
        return round(time.monotonic() - self._began, 1)


def table(findings: list[Finding]) -> Table:
    """Findings as they are printed."""
    rows = Table(title="Faults", show_lines=True)
    for column in ("Fault", "What happened", "Noticed (s)", "Recovered (s)", "Rounds lost", "Model"):
        rows.add_column(column, justify="right" if column[-1] in ")t" and column != "Fault" else "left")
    for item in findings:
        seconds = ["–" if value is None else f"{value:.1f}" for value in (item.notice, item.recover)]
        happened = f"[red]{item.problem}[/]" if item.problem else item.happened
        rows.add_row(item.fault, happened, *seconds, str(item.lost), item.model)
    return rows
