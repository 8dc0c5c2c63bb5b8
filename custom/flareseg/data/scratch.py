"""Folders in which something is made before it is renamed into its place, and the clearing of those left over."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_PREFIX = ".writing-"
_YOUNG_SECONDS = 60.0  # its owner may not have locked it yet
_OLD_SECONDS = 24 * 3600.0


@contextmanager
def scratch_folder(parent: Path) -> Iterator[Path]:
    """A new folder in ``parent``, removed at the end unless it was renamed.

    It is locked as long as this process lives, so that others can tell it from one whose owner was killed.
    """
    parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=parent))
    handle = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):  # a file system without locks: age alone tells
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield folder
    finally:
        os.close(handle)
        shutil.rmtree(folder, ignore_errors=True)


def sweep(parent: Path) -> list[Path]:
    """Remove scratch folders whose owner is gone.

    Returns:
        What was removed.
    """
    removed = []
    for folder in sorted(parent.glob(f"{_PREFIX}*")):
        with suppress(FileNotFoundError):  # its owner is just done, or another process sweeps too
            age = time.time() - folder.stat().st_mtime
            if age > _YOUNG_SECONDS and _abandoned(folder, age):
                shutil.rmtree(folder, ignore_errors=True)
                removed.append(folder)
    return removed


def _abandoned(folder: Path, age: float) -> bool:
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return age > _OLD_SECONDS
    finally:
        os.close(handle)
    return True
