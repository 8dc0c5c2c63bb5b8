"""What has to be converted before training: DICOM series, masks of their slices, and one file for each organ."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flareseg.data.grid import Grid
from flareseg.data.nifti import grid_of, open_nifti, read_voxels
from flareseg.data.prepare.dicom import read_series, series_files
from flareseg.data.prepare.dicom_labels import dicom_masks
from flareseg.data.prepare.layouts.source import DicomLabel, OrganFiles, SliceMasks, SourceCase
from flareseg.data.prepare.organ_masks import Merged, OrganMask, OrganValues, merge
from flareseg.data.prepare.slice_masks import mask_files, read_masks
from flareseg.errors import DataError, ErrorCode
from flareseg.files import nifti_bytes, write_whole

CONVERT_VERSION = 2
"""Part of the state of what is made: a change makes everything anew."""
ORIGIN = "flareseg data prepare 1"
"""Goes into what is made; changes with its format alone."""


@dataclass(frozen=True)
class Converted:
    """What a conversion met.

    Attributes:
        shared: how many voxels are of several organs, by the organs' names in order.
        empty: whether no voxel is of any organ.
    """

    shared: dict[tuple[str, ...], int]
    empty: bool

    def as_json(self) -> dict[str, Any]:
        """As :meth:`from_json` reads it."""
        return {"shared": [[list(names), count] for names, count in self.shared.items()], "empty": self.empty}

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> Converted:
        """What :meth:`as_json` gave."""
        return cls({tuple(names): count for names, count in content["shared"]}, content["empty"])


def source_files(case: SourceCase, organs: Collection[str]) -> list[Path]:
    """Every file of the source that a case is made from, given the organs wanted."""
    if isinstance(case.image, Path):
        image = series_files(case.image) if case.image.is_dir() else [case.image]
    else:
        image = list(case.image)
    label = case.label
    if isinstance(label, OrganFiles):
        return [*image, *(label.files[organ] for organ in sorted(label.files) if organ in organs)]
    if isinstance(label, SliceMasks):
        return [*image, *mask_files(label)]
    if isinstance(label, DicomLabel):
        return [*image, *sorted({file for organ in label.organs if organ in organs for file, _ in label.organs[organ]})]
    return [*image, label]


def convert(case: SourceCase, values: OrganValues, image: Path, label: Path) -> Converted:
    """Write what of a case is not yet an image file with one label file on its grid.

    Args:
        case: the case.
        values: of the organs wanted, where the label is a mask for each organ.
        image: NIfTI file to write where the image is a DICOM series.
        label: NIfTI file to write where the label is in parts.

    Raises:
        DataError: a part is missing or not readable, or parts differ in size or place.
    """
    if isinstance(case.label, OrganFiles):
        merged, affine = merge_organs(case, case.label, values)
        write_whole(label, nifti_bytes(merged.voxels, affine, ORIGIN))
        return Converted(merged.shared, not merged.voxels.any())
    series = read_series(case.image)
    if isinstance(case.label, SliceMasks):
        merged = Merged(read_masks(case.name, case.label, series), {})
    else:
        assert isinstance(case.label, DicomLabel)
        merged = merge(dicom_masks(case.name, case.label, series, values.single), values)
    write_whole(label, nifti_bytes(merged.voxels, series.affine, ORIGIN))
    write_whole(image, nifti_bytes(series.voxels, series.affine, ORIGIN))
    return Converted(merged.shared, not merged.voxels.any())


def merge_organs(case: SourceCase, parts: OrganFiles, values: OrganValues) -> tuple[Merged, NDArray[np.float64]]:
    """Merge one file for each organ into one label.

    Returns:
        The organs, and their affine.

    Raises:
        DataError: an organ has no file, or a file is not readable or on another grid.
    """
    grids: list[Grid] = []
    if not values.single:
        raise _unfit(case, case.place, "no organ of the task is segmented.", "Choose another task.")
    merged = merge(_masks(case, parts, values, grids), values)
    return merged, grids[0].affine


def _masks(case: SourceCase, parts: OrganFiles, values: OrganValues, grids: list[Grid]) -> Iterator[OrganMask]:
    for organ in values.single:
        path = parts.files.get(organ)
        if path is None:
            raise _unfit(case, case.place, f"has no segmentation of {organ}.", "Add the file, empty where absent.")
        file = open_nifti(path, case.name)
        grids.append(grid_of(file))
        if not grids[0].holds(grids[-1]):
            raise _unfit(case, path, "lies on another grid than the other organs.", "Export all on the image's grid.")
        yield organ, read_voxels(file, path, case.name) > 0


def _unfit(case: SourceCase, path: Path, problem: str, remedy: str) -> DataError:
    return DataError(f"{path}: {problem}", remedy, code=ErrorCode.BAD_LABEL, case=case.name)
