"""The final table for the terminal."""

from __future__ import annotations

from rich.table import Table
from rich.text import Text

from flareseg.errors import printable
from flareseg.report.page import dice
from flareseg.report.schema import ReportFacts

_COLORS = {"complete": "green", "subset": "yellow", "unimproved": "yellow", "failed": "red"}


def summary_table(facts: ReportFacts) -> Table:
    """Show each modality's mean test Dice, with the status below.

    Names and reasons come from others: they are shown as plain text, without markup or control characters.
    """
    status = Text(facts.status, style=f"bold {_COLORS[facts.status]}")
    if facts.reason:
        status.append(f": {printable(facts.reason)}", style="not bold default")
    for warning in facts.warnings:
        status.append(f"\n{printable(warning)}", style="not bold yellow")
    if facts.round_overhead_seconds is not None:
        status.append(f"\nFixed cost of a round: {facts.round_overhead_seconds:.2f} s", style="not bold default")
    table = Table(
        title=Text(f"{printable(facts.job_name or facts.task_name)}: mean Dice of the final model on the test sets"),
        title_justify="left",
        caption=status,
        caption_justify="left",
    )
    table.add_column("Modality")
    headings = ["Volumes", "Organs"]
    if facts.lesion:
        headings += [printable(facts.lesion).capitalize(), f"Small (< {facts.small_bound})", "Large"]
    for heading in headings:
        table.add_column(heading, justify="right")
    for row in facts.test_by_modality:
        cells = [str(row.volumes), dice(row.organs)]
        if facts.lesion:
            cells += [dice(mean.dice) for mean in (row.lesion, row.small, row.large)]
        table.add_row(row.name, *cells)
    return table
