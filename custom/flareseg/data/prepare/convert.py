"""What has to be converted before training: DICOM series, PNG masks of their slices, and one file for each organ."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import nibabel as nib
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from flareseg.data.prepare.dicom import read_series, series_files
from flareseg.data.prepare.layouts.source import OrganFiles, SliceMasks, SourceCase, natural
from flareseg.errors import DataError, ErrorCode
from flareseg.files import nifti_bytes, write_whole

CONVERT_VERSION = 1
ORIGIN = f"flareseg data prepare {CONVERT_VERSION}"
"""Goes into what is made; a change makes everything anew."""


def source_files(case: SourceCase) -> list[Path]:
    """Every file of the source that a case consists of."""
    image = series_files(case.image) if case.image.is_dir() else [case.image]
    if isinstance(case.label, OrganFiles):
        return [*image, *(case.label.files[organ] for organ in sorted(case.label.files))]
    return [*image, *(_masks(case.label) if isinstance(case.label, SliceMasks) else [case.label])]


def convert(case: SourceCase, organs: Mapping[str, int], image: Path, label: Path) -> None:
    """Write what of a case is not yet an image file with one label file on its grid.

    Args:
        case: the case.
        organs: value of each organ wanted, where the label is one file for each organ.
        image: NIfTI file to write where the image is a DICOM series.
        label: NIfTI file to write where the label is in parts.

    Raises:
        DataError: a part is missing or not readable, parts differ in size, or two organs claim one voxel.
    """
    if isinstance(case.label, OrganFiles):
        write_whole(label, nifti_bytes(*merge_organs(case, case.label, organs), ORIGIN))
    if isinstance(case.label, SliceMasks):
        series = read_series(case.image)
        masks = read_masks(case, case.label, series.voxels.shape[:2], series.order)
        write_whole(label, nifti_bytes(masks, series.affine, ORIGIN))
        write_whole(image, nifti_bytes(series.voxels, series.affine, ORIGIN))


def merge_organs(
    case: SourceCase, parts: OrganFiles, organs: Mapping[str, int]
) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    """Merge one file for each organ into one label.

    Returns:
        uint8 (X, Y, Z) with each organ's value, and its affine.

    Raises:
        DataError: an organ has no file, a file is not readable or on another grid, or two organs overlap.
    """
    merged: NDArray[np.uint8] | None = None
    affine = np.eye(4)
    for organ, value in organs.items():
        path = parts.files.get(organ)
        if path is None:
            raise _spoiled(case, case.image, f"has no segmentation of {organ}.", "Add the file, empty where absent.")
        try:
            mask = nib.load(path)
            voxels = np.asanyarray(mask.dataobj) > 0
        except Exception as error:  # nibabel raises whatever the decoder raised; all mean the same to the user
            raise _spoiled(case, path, f"cannot be read as NIfTI ({error}).", "Copy it again.") from None
        if merged is None:
            merged, affine = np.zeros(voxels.shape, dtype=np.uint8), mask.affine
        if voxels.shape != merged.shape or not np.allclose(mask.affine, affine, atol=1e-3):
            raise _spoiled(case, path, "lies on another grid than the other organs.", "Export all on the image's grid.")
        if (merged[voxels] > 0).any():
            shared = int((merged[voxels] > 0).sum())
            raise _spoiled(case, path, f"{shared} voxels belong to another organ too.", "Let no two organs overlap.")
        merged[voxels] = value
    if merged is None:
        raise _spoiled(case, case.image, "no organ of the task is segmented.", "Choose another task.")
    return merged, affine


def read_masks(case: SourceCase, parts: SliceMasks, size: tuple[int, ...], order: tuple[int, ...]) -> NDArray[np.uint8]:
    """Read the PNG masks of a series; masks and slices pair by the order of their names, as CHAOS numbers both.

    Args:
        case: the case.
        parts: the masks.
        size: columns and rows of the series.
        order: for each slice its number among the series' files by name.

    Returns:
        uint8 (columns, rows, slices).

    Raises:
        DataError: there is not one mask for each slice, or a mask is not readable, of another size or of grey values
            that mean nothing.
    """
    files = _masks(parts)
    if len(files) != len(order):
        raise _spoiled(case, parts.folder, f"holds {len(files)} masks for {len(order)} slices.", "Copy all again.")
    grey, values = (np.array(row) for row in zip(*{0: 0, **parts.grey}.items(), strict=True))
    masks = np.zeros((*size, len(order)), dtype=np.uint8)
    for place, number in enumerate(order):
        path = files[number]
        try:
            with Image.open(path) as opened:
                pixels = np.asarray(opened.convert("L")).T.astype(int)
        except OSError as error:
            raise _spoiled(case, path, f"cannot be read as an image ({error}).", "Copy it again.") from None
        if pixels.shape != size:
            raise _spoiled(case, path, f"expected {size} pixels, found {pixels.shape}.", "Use this series' masks.")
        nearest = np.abs(pixels[..., None] - grey).argmin(-1)
        if np.abs(pixels - grey[nearest]).max() > 20:
            found = int(pixels.flat[np.abs(pixels - grey[nearest]).argmax()])
            raise _spoiled(case, path, f"grey value {found} means no organ.", f"Expected {sorted(parts.grey)} or 0.")
        masks[..., place] = values[nearest]
    return masks


def _masks(parts: SliceMasks) -> list[Path]:
    return sorted((path for path in parts.folder.glob("[!.]*.png") if path.is_file()), key=natural)


def _spoiled(case: SourceCase, path: Path, problem: str, remedy: str) -> DataError:
    return DataError(f"{path}: {problem}", remedy, code=ErrorCode.BAD_LABEL, case=case.name)
