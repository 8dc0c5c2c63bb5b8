"""Organs that a DICOM SEG or RTSTRUCT object marks, as masks on the grid of the series that it was drawn on.

SEG is read by highdicom. Of RTSTRUCT pydicom reads the contours; they are filled here, because the readers on PyPI
(rt-utils, platipy, pydicomrt) mark the outline too, which makes every organ half a voxel larger, place a contour by
rounding its height, whatever slice it names, and need OpenCV with its graphical libraries.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

import numpy as np
from matplotlib.path import Path as Polygon
from numpy.typing import NDArray

from flareseg.data.prepare.dicom import Series, read_header
from flareseg.data.prepare.layouts.source import DicomLabel
from flareseg.data.prepare.lesion_names import is_lesion
from flareseg.data.prepare.organ_masks import OrganMask
from flareseg.errors import DataError, ErrorCode

_OFF_SLICE = 0.25
"""Share of the slice gap by which a contour may lie off its slice."""


def dicom_masks(case: str, label: DicomLabel, series: Series, organs: Collection[str]) -> Iterator[OrganMask]:
    """Read the organs wanted; a lesion that is not there is absent, an organ that is not there was not drawn.

    Args:
        case: name of the case, for errors.
        label: where each organ is marked.
        series: the images.
        organs: names of the organs wanted.

    Raises:
        DataError: an organ is missing, an object is not readable, or it does not lie on the series.
    """
    for organ in organs:
        mask = np.zeros(series.voxels.shape, dtype=np.bool_)
        if organ not in label.organs and not is_lesion(organ):
            raise _unfit(
                case, series.files[0].parent, f"has no segmentation of {organ}.", "Draw it, or leave the case out."
            )
        for file, number in label.organs.get(organ, ()):
            read = _segment if read_header(file).Modality == "SEG" else _region
            mask |= read(case, file, number, series)
        yield organ, mask


def _segment(case: str, file: Path, number: int, series: Series) -> NDArray[np.bool_]:
    """The voxels of a segment, found by the instances that its frames name, else by where they lie."""
    try:
        from highdicom import VolumeGeometry
        from highdicom.seg import segread
    except ImportError:
        raise _unfit(
            case, file, "reading DICOM-SEG needs highdicom, which is not installed.", "pip install 'flareseg[dicom]'"
        ) from None
    try:
        segmentation = segread(file)
        try:
            frames = segmentation.get_pixels_by_source_instance(
                series.instances, segment_numbers=[number], assert_missing_frames_are_empty=True
            )[..., 0]
        except (RuntimeError, ValueError, KeyError):
            volume = segmentation.get_volume(segment_numbers=[number], allow_missing_positions=True)
            shape = (series.voxels.shape[2], series.voxels.shape[1], series.voxels.shape[0])
            grid = VolumeGeometry(_frames_affine(series), shape, coordinate_system="PATIENT")
            frames = volume.match_geometry(grid).array[..., 0]
    except Exception as error:  # highdicom and the decoders below it raise whatever they like
        reason = " ".join(str(error).split())
        raise _unfit(
            case, file, f"does not fit the series in {series.files[0].parent} ({reason}).", "Export both again."
        ) from None
    return np.asarray(frames.transpose(2, 1, 0) > 0.5)


def _frames_affine(series: Series) -> NDArray[np.float64]:
    """From (slice, row, column) to LPS mm, as highdicom counts."""
    lps = np.diag([-1.0, -1.0, 1.0, 1.0]) @ series.affine
    return lps[:, [2, 1, 0, 3]]


def _region(case: str, file: Path, number: int, series: Series) -> NDArray[np.bool_]:
    """The voxels whose centres lie inside a region of interest; contours inside others are holes (even-odd rule)."""
    mask = np.zeros(series.voxels.shape, dtype=np.bool_)
    columns, rows, slices = series.voxels.shape
    to_voxels = np.linalg.inv(np.diag([-1.0, -1.0, 1.0, 1.0]) @ series.affine)
    for points, instance in _contours(file, number):
        voxels = points @ to_voxels[:3, :3].T + to_voxels[:3, 3]
        heights = voxels[:, 2]
        place = series.instances.index(instance) if instance in series.instances else round(float(heights.mean()))
        if not 0 <= place < slices or np.abs(heights - place).max() > _OFF_SLICE:
            raise _unfit(
                case,
                file,
                f"a contour of region {number} lies at slice {heights.mean() + 1:.2f} of {slices}, on none.",
                "Export the structures on this series.",
            )
        mask[..., place] ^= _inside(voxels[:, :2], (columns, rows))
    return mask


def _contours(file: Path, number: int) -> Iterator[tuple[NDArray[np.float64], str | None]]:
    """The closed contours of a region, (points, 3) in LPS mm, with the slice that each names."""
    for region in read_header(file).get("ROIContourSequence") or ():
        if int(region.ReferencedROINumber) != number:
            continue
        for contour in region.get("ContourSequence") or ():
            if str(contour.ContourGeometricType).startswith("CLOSED"):
                images: Sequence = contour.get("ContourImageSequence") or ()
                instance = str(images[0].ReferencedSOPInstanceUID) if len(images) else None
                yield np.array(contour.ContourData, dtype=float).reshape(-1, 3), instance


def _inside(corners: NDArray[np.float64], size: tuple[int, ...]) -> NDArray[np.bool_]:
    """Which of (columns, rows) pixel centres lie inside a polygon."""
    inside = np.zeros(size, dtype=np.bool_)
    low = np.clip(np.floor(corners.min(axis=0)).astype(int), 0, np.array(size))
    high = np.clip(np.ceil(corners.max(axis=0)).astype(int) + 1, 0, np.array(size))
    if (low >= high).any() or len(corners) < 3:
        return inside
    grid = np.stack(np.meshgrid(*map(np.arange, low, high), indexing="ij"), axis=-1)
    found = Polygon(corners).contains_points(grid.reshape(-1, 2)).reshape(grid.shape[:2])
    inside[low[0] : high[0], low[1] : high[1]] = found
    return inside


def _unfit(case: str, path: Path, problem: str, remedy: str) -> DataError:
    return DataError(f"{path}: {problem}", remedy, code=ErrorCode.BAD_LABEL, case=case)
