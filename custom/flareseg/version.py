"""The version: the release, and a digest of the package's own modules, so that no two builds have the same one.

Server and site compare it before they work together. A number from git would not do: an editable installation keeps
the one of the day it was installed, a copy of the sources or inside a job has none, and an uncommitted change is not in
it. The modules themselves are everywhere, and equal exactly where the same code runs. This module imports nothing of
flareseg: the build loads it alone.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

RELEASE = "0.1.0"

SHARE = "share"
"""Folder of what an installed package holds beside its modules; see :mod:`flareseg.shipped`."""


def source_digest(package: Path) -> str:
    """SHA-256, in hex, over path and content of every Python module below a folder, shipped files apart."""
    digest = hashlib.sha256()
    for name in sorted(path.relative_to(package).as_posix() for path in package.rglob("*.py")):
        if name.startswith(f"{SHARE}/"):
            continue
        content = (package / name).read_bytes()
        digest.update(f"{name}\0{len(content)}\0".encode())
        digest.update(content)
    return digest.hexdigest()


# The letter keeps a digest of digits alone from being read, and shortened, as a number (PEP 440, local versions).
__version__ = f"{RELEASE}+h{source_digest(Path(__file__).parent)[:10]}"
