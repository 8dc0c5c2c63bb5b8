"""Files that are written whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO


@contextmanager
def replacing(path: Path) -> Iterator[IO[bytes]]:
    """Write a file beside ``path`` and move it there once it is on the disk; one writer at a time.

    Whatever happens, ``path`` holds either all of the old content or all of the new. What a killed process leaves
    (``.name.part``) is overwritten by the next write.

    Raises:
        OSError: the disk is full, or the folder cannot be written; the old file stays.
    """
    part = path.with_name(f".{path.name}.part")
    try:
        with part.open("wb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(part, path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)  # the new name survives a power cut too
    finally:
        os.close(folder)
