"""What a full disk does to a write, without filling one; and who may read what was written."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def small_files(most: int) -> Iterator[None]:
    """No file of this process may grow beyond ``most`` bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def open_to_others(folder: Path) -> list[str]:
    """Files and folders, the folder itself first, that somebody else than their owner may read, write or enter."""
    found = [path for path in (folder, *sorted(folder.rglob("*"))) if not path.is_symlink()]
    return [f"{path} {path.stat().st_mode & 0o777:03o}" for path in found if path.stat().st_mode & 0o077]
