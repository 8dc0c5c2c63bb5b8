"""An image without a label: read, turned towards R, A, S, and back again."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from nibabel.affines import voxel_sizes
from nibabel.orientations import apply_orientation, inv_ornt_aff, io_orientation, ornt_transform

from flareseg.config.task import Modality, Task
from flareseg.data.frames import frame_pixels, open_frame
from flareseg.data.nifti import open_nifti, read_voxels, volume_fault
from flareseg.data.prepare.dicom import Series, read_series, series_modality
from flareseg.errors import DataError, ErrorCode
from flareseg.inference.inputs import Input

_AIR_HU = -200.0
_RAS = np.array([[0, 1], [1, 1], [2, 1]])


@dataclass(frozen=True)
class Image:
    """An image as it was read.

    Attributes:
        source: where it came from.
        modality: what it is taken for.
        values: float32 (C, X, Y, Z), axes towards R, A, S: HU, raw MR values, or 0 to 255.
        affine: (4, 4), indices of ``values`` to RAS+ mm; of a frame the identity, whose unit is the pixel.
        original_affine: (4, 4), of the grid as it was stored.
        header: of a NIfTI file, to write results with the same codes and units.
        series: of a DICOM series.
        doubts: what a reader should know, a sentence each.
    """

    source: Input
    modality: Modality
    values: np.ndarray
    affine: np.ndarray
    original_affine: np.ndarray
    header: Any = None
    series: Series | None = None
    doubts: list[str] = field(default_factory=list)

    @property
    def spacing(self) -> np.ndarray:
        """(3,) voxel size in mm, or 1 for pixels."""
        return np.asarray(voxel_sizes(self.affine))

    def as_stored(self, volume: np.ndarray) -> np.ndarray:
        """Turn a volume (X, Y, Z) on the grid of ``values`` to the grid as it was stored."""
        turn = ornt_transform(_RAS, io_orientation(self.original_affine))
        return np.ascontiguousarray(apply_orientation(volume, turn))


def read_image(source: Input, task: Task, modality: Modality | None, slope: float, intercept: float) -> Image:
    """Read an image for a task.

    Args:
        source: the image.
        task: what the model takes.
        modality: what the image is, where the caller knows; else DICOM says it, or it is guessed from the values.
        slope: factor that takes stored values to HU or raw MR values.
        intercept: summand, in HU for CT.

    Raises:
        DataError: it cannot be read, has not three dimensions, holds NaN, or is of a modality the model does not take.
    """
    if source.kind == "frame":
        return _frame(source, task, modality)
    series, header = None, None
    if source.kind == "dicom":
        series = read_series(source.path)
        stored, affine = series.voxels, series.affine
    else:
        stored, affine, header = _nifti(source)
    turn = io_orientation(affine)
    with np.errstate(over="ignore", invalid="ignore"):
        values = apply_orientation(stored, turn).astype(np.float32) * np.float32(slope) + np.float32(intercept)
    if not np.isfinite(values).all():
        raise _unusable(source, "holds NaN or infinite voxels.", "Export the image again.")
    if values.size and values.min() == values.max():
        raise _unusable(source, f"every voxel is {values.flat[0]:g}: there is nothing to see.", "Export it again.")
    taken, doubts = _modality(source, task, modality, values)
    return Image(source, taken, values[None], affine @ inv_ornt_aff(turn, stored.shape), affine, header, series, doubts)


def _nifti(source: Input) -> tuple[np.ndarray, np.ndarray, Any]:
    image = open_nifti(source.path, source.name)
    fault = volume_fault(image, source.path, source.name)
    if fault is not None:
        raise fault.error()
    stored = read_voxels(image, source.path, source.name)
    if not stored.size:
        raise _unusable(source, f"holds no voxel: {' x '.join(map(str, stored.shape))}.", "Export it again.")
    return stored, image.affine, image.header


def _frame(source: Input, task: Task, modality: Modality | None) -> Image:
    taken, doubts = _fitting(source, task, modality or "RGB"), [] if modality in (None, "RGB") else ["taken as RGB"]
    if taken != "RGB":
        raise _unusable(source, "is a picture, which holds no HU and no spacing.", "Give NIfTI or DICOM.")
    values = frame_pixels(open_frame(source.path, source.name).convert("RGB"))
    return Image(source, taken, values, np.eye(4), np.eye(4), doubts=doubts)


def _modality(source: Input, task: Task, given: Modality | None, values: np.ndarray) -> tuple[Modality, list[str]]:
    """What the image is: by the caller, by DICOM, as the only one the model takes, or by its values."""
    stated = series_modality(source.path) if source.kind == "dicom" else None
    if stated is not None:
        if given is not None and given != stated:
            raise _unusable(source, f"is {stated} by its DICOM header, not {given}.", "Leave --modality out.")
        return _fitting(source, task, stated), []
    looks: Modality = "CT" if values.min() < _AIR_HU else "MR"
    doubts = []
    if given is None:
        taken = next(iter(task.modalities)) if len(task.modalities) == 1 else looks
        if len(task.modalities) > 1:
            doubts.append(f"taken for {taken} by its values: say --modality where that is wrong")
    else:
        taken = given
    if taken == "CT" and values.min() >= 0:
        doubts.append("no value is below 0: are these HU?")
    if taken == "MR" and looks == "CT":
        doubts.append(f"values go down to {values.min():.0f}: is this a CT?")
    return _fitting(source, task, taken), doubts


def _fitting(source: Input, task: Task, modality: str) -> Modality:
    for known in task.modalities:
        if known == modality:
            return known
    raise _unusable(
        source,
        f"is {modality}; the model of task {task.name} takes {' and '.join(task.modalities)}.",
        "Use a model for this modality.",
    )


def _unusable(source: Input, problem: str, remedy: str) -> DataError:
    return DataError(f"{source.path}: {problem}", remedy, code=ErrorCode.UNREADABLE_IMAGE, case=source.name)
