"""Refused messages at the server, written down while a job runs: who sent what it should not."""

from __future__ import annotations

import fcntl
import json
from pathlib import Path

REFUSALS_FILE = "refused_messages.jsonl"
MOST_BYTES = 2**20
"""A sender cannot fill the server's disk: beyond this nothing more is written."""


def note_refusal(folder: Path, sender: str, reason: str) -> None:
    """Append one line to the file in a job's folder; several processes may write at the same time.

    Args:
        folder: the job's folder for our files at the server.
        sender: the site, or who else was at the other end of the connection.
        reason: why the message was refused, one printable line.

    Raises:
        OSError: it could not be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / REFUSALS_FILE).open("a", encoding="utf-8") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        if stream.tell() < MOST_BYTES:
            stream.write(json.dumps([sender, reason]) + "\n")


def read_refusals(folder: Path) -> dict[str, list[str]]:
    """Give the reasons for each sender, each reason once, in the order in which they came first.

    Raises:
        OSError: the file cannot be read.
    """
    path = folder / REFUSALS_FILE
    if not path.is_file():
        return {}
    found: dict[str, dict[str, None]] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            sender, reason = json.loads(line)
        except ValueError:  # a line torn by a full disk
            continue
        found.setdefault(sender, {})[reason] = None
    return {sender: list(reasons) for sender, reasons in found.items()}
