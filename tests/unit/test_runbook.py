"""The runbook says of each refusal in docs/security.md what to do: it holds every log line that stands there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"
WHERE = 2  # the column "Where the line stands"


def log_lines() -> list[str]:
    """What is quoted in that column, but for file names: they hold no blank."""
    rows = [line.split(" | ") for line in (DOCS / "security.md").read_text().splitlines() if line.startswith("| ")]
    quoted = [text for row in rows if len(row) == 4 for text in re.findall("`(.+?)`", row[WHERE])]
    return sorted({text for text in quoted if " " in text and not text.startswith("<job id>/")})


def test_the_lines_are_found() -> None:
    assert len(log_lines()) >= 20


@pytest.mark.parametrize("line", log_lines())
def test_the_runbook_holds_the_line(line: str) -> None:
    """An ellipsis in one of the two may be any few words in the other."""
    runbook = " ".join((DOCS / "runbook.md").read_text().split())
    words = ".{1,40}?".join(re.escape(part) for part in line.strip("… ").split("…"))
    assert re.search(words, runbook), line
