"""What a healthy run may write in its logs: no error, and each warning for a reason that stands here."""

from __future__ import annotations

import re
from pathlib import Path

WARNINGS = {
    "^notified SJ of dead-job: .*reason='missing job on client'$": (
        "after its last round a site's job may end a heartbeat before the server's; one that ends earlier stands in "
        "the run's record, which is then not complete"
    ),
}
"""A pattern of a warning's text, and why a healthy run may write it."""
_LINE = re.compile(r"^\d{4}-\d\d-\d\d [\d:,]+ - (\S+) - (WARNING|ERROR|CRITICAL) - (.*)$", re.MULTILINE)


def unexplained(folder: Path) -> list[str]:
    """Errors, and warnings without a reason, in every ``log.txt`` below a folder."""
    found = []
    for path in sorted(folder.rglob("log.txt")):
        for logger, level, text in _LINE.findall(path.read_text(errors="replace")):
            if level != "WARNING" or not any(re.search(pattern, text) for pattern in WARNINGS):
                found.append(f"{path.relative_to(folder)}: {level} of {logger}: {text}")
    return found
