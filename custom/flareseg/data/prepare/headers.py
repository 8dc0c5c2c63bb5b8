"""What headers tell before anything is read: whether image and label lie on one grid."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import nibabel as nib
import numpy as np
from nibabel.nifti1 import Nifti1Image
from numpy.typing import NDArray

from flareseg.data.prepare.layouts.files import NIFTI, has_ending
from flareseg.data.prepare.layouts.source import BadCase, OrganFiles, SourceCase
from flareseg.data.prepare.places import corners_apart, same_place, towards_ras
from flareseg.errors import DataError, ErrorCode, unreadable


def check_headers(cases: Sequence[SourceCase]) -> list[BadCase]:
    """Find the cases whose label is not on the image's grid, or whose headers cannot be read; RGB frames have none."""
    bad = []
    for case in cases:
        label = next(iter(case.label.files.values()), None) if isinstance(case.label, OrganFiles) else case.label
        if not (isinstance(label, Path) and isinstance(case.image, Path) and has_ending(case.image, NIFTI)):
            continue
        try:
            _check_grids(case.name, case.image, label)
        except DataError as error:
            bad.append(BadCase(case.name, error))
    return bad


def open_header(path: Path, case: str) -> Nifti1Image:
    """A NIfTI file's header; voxels are not read.

    Raises:
        DataError: the file is not readable.
    """
    try:
        image: Nifti1Image = nib.load(path)
    except Exception as error:  # nibabel raises whatever the decoder raised; all mean the same to the user
        raise unreadable(path, "NIfTI", case, error) from None
    return image


def _check_grids(case: str, image: Path, label: Path) -> None:
    (ours, affine), (theirs, other) = (_grid(open_header(path, case)) for path in (image, label))
    if ours != theirs:
        problem = f"expected the image's {_by(ours)} voxels, found {_by(theirs)}"
    elif len(ours) == 3 and np.linalg.det(affine[:3, :3]) and not same_place(ours, affine, other):
        voxels, mm = corners_apart(ours, affine, other)
        problem = f"lies on another grid than its image: a corner is {voxels:.1f} voxels, {mm:.1f} mm, off"
    else:
        return
    raise DataError(
        f"{label}: {problem}.",
        "Export the label on the image's grid, or leave the case out with --except.",
        code=ErrorCode.SHAPE_MISMATCH,
        case=case,
    )


def _grid(image: Nifti1Image) -> tuple[tuple[int, ...], NDArray[np.float64]]:
    shape = tuple(image.shape)
    while len(shape) > 3 and shape[-1] == 1:
        shape = shape[:-1]
    usable = len(shape) == 3 and np.isfinite(image.affine).all() and abs(np.linalg.det(image.affine[:3, :3])) > 1e-9
    return towards_ras(shape, image.affine) if usable else (shape, image.affine)


def _by(shape: tuple[int, ...]) -> str:
    return " × ".join(map(str, shape))
