"""Images that are the same file twice: of one patient, whatever their names say."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path


def same_files(paths: Iterable[Path]) -> list[list[Path]]:
    """Find files of the same bytes; only files of the same length are read.

    Returns:
        Groups of two and more, each in the order of ``paths``.
    """
    by_size: dict[int, list[Path]] = defaultdict(list)
    for path in dict.fromkeys(paths):
        by_size[path.stat().st_size].append(path)
    by_content: dict[bytes, list[Path]] = defaultdict(list)
    for candidates in by_size.values():
        for path in candidates if len(candidates) > 1 else ():
            by_content[_digest(path)].append(path)
    return [group for group in by_content.values() if len(group) > 1]


def _digest(path: Path) -> bytes:
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.digest()
