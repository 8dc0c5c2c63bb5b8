"""Where a report goes: a folder for each run, so that none is overwritten by another, and a link to the latest."""

from __future__ import annotations

import os
import re
from pathlib import Path

LATEST = "latest"


def report_folder(output: Path, name: str, job_id: str) -> Path:
    """Make the folder of a run's report, and point ``latest`` beside it there.

    Args:
        output: folder for the reports of many runs.
        name: the job's name.
        job_id: the run; the report of the same run goes to the same folder again.

    Returns:
        ``<output>/<name>-<first eight signs of the id>``.
    """
    folder = output / f"{re.sub(r'[^A-Za-z0-9._-]+', '-', name).strip('.') or 'run'}-{job_id[:8]}"
    folder.mkdir(parents=True, exist_ok=True)
    point_latest(folder)
    return folder


def point_latest(folder: Path) -> None:
    """Let the link ``latest`` beside a folder point to it."""
    link = folder.with_name(LATEST)
    fresh = folder.with_name(f".{LATEST}.{os.getpid()}")
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(folder.name)
    fresh.replace(link)
