"""What sites said of their own failures, for someone who owns all of them: the lead of a POC federation.

To the lead of others a site tells a code. In POC the sites' logs lie on the same machine.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

from flareseg.errors import ErrorCode

_FAILURE = re.compile(rf"\b(?:{'|'.join(code.value for code in ErrorCode)})(?: \(case \w+\))?: (.+)", re.DOTALL)


def site_failures(kits: Path, sites: list[str], job_id: str) -> dict[str, str]:
    """Each failed site's own message of its first failure in a job, with file and remedy.

    Args:
        kits: folder with the startup kit of each site.
        sites: names of the sites to ask.
        job_id: the job.
    """
    found = {}
    for name in sites:
        log = kits / name / job_id / "log.json"
        if not log.is_file():
            continue
        for line in log.read_text(encoding="utf-8", errors="replace").splitlines():
            message = _error(line)
            if message:
                found[name] = message
                break
    return found


def _error(line: str) -> str:
    """The message of a line of a log that is a site's failure; else empty."""
    try:
        event = json.loads(line)
        failure = _FAILURE.search(str(event["message"])) if event["levelname"] == "ERROR" else None
    except (ValueError, TypeError, KeyError):
        return ""  # a line that was cut off
    return failure[1] if failure else ""
