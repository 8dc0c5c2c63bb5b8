"""Files that appear whole or not at all, with the same bytes in every run."""

from __future__ import annotations

import gzip
import io
import json
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from numpy.typing import NDArray

from flareseg.files import replacing


def json_bytes(content: object) -> bytes:
    """Readable JSON."""
    return (json.dumps(content, indent=2) + "\n").encode()


def nifti_bytes(array: NDArray[Any], affine: NDArray[np.float64], description: str) -> bytes:
    """A compressed NIfTI file.

    Args:
        array: (X, Y, Z), of a dtype that NIfTI has.
        affine: (4, 4), voxel indices to RAS+ mm.
        description: where it comes from, at most 79 characters.
    """
    image = nib.Nifti1Image(array, affine)
    image.set_qform(affine, code=1)
    image.set_sform(affine, code=1)
    image.header.set_xyzt_units("mm")
    image.header["descrip"] = description.encode()
    packed = io.BytesIO()
    # No name and no time in the header: the same case is the same bytes in every run.
    with gzip.GzipFile(filename="", mode="wb", compresslevel=1, fileobj=packed, mtime=0) as stream:
        stream.write(image.to_bytes())
    return packed.getvalue()


def write_whole(path: Path, content: bytes) -> None:
    """Write a file beside its place and rename it; leave it alone if it already says so."""
    if path.exists() and path.read_bytes() == content:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as stream:
        stream.write(content)
