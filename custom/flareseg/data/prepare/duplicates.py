"""Images that are the same file twice: of one patient, whatever their names say."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

from flareseg.files import sha256_of


def same_files(paths: Iterable[Path]) -> list[list[Path]]:
    """Find files of the same bytes; only files of the same length are read.

    Returns:
        Groups of two and more, each in the order of ``paths``.
    """
    by_size: dict[int, list[Path]] = defaultdict(list)
    for path in dict.fromkeys(paths):
        by_size[path.stat().st_size].append(path)
    by_content: dict[str, list[Path]] = defaultdict(list)
    for candidates in by_size.values():
        for path in candidates if len(candidates) > 1 else ():
            by_content[sha256_of(path)].append(path)
    return [group for group in by_content.values() if len(group) > 1]
