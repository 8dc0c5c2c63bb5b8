"""NIfTI files: what reader, preparation and check share."""

from __future__ import annotations

import gzip
from pathlib import Path

AFFINE_TOLERANCE_MM = 0.05
"""By how much the affines of image and label may differ in any entry."""


def verify_checksum(path: Path) -> None:
    """Read a compressed file to its checksum, which nibabel never comes to: it takes damaged voxels for good ones.

    Raises:
        OSError: the content is not what was written.
        EOFError: the file was cut short.
        zlib.error: it cannot be decompressed.
    """
    if path.suffix.lower() == ".gz":
        with gzip.open(path) as stream:
            while stream.read(1 << 22):
                pass
