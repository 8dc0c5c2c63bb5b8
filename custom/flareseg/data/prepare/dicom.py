"""A DICOM series as a volume: slices ordered by position, values in HU or raw MR values, affine to RAS+ mm."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from flareseg.errors import DataError, ErrorCode

if TYPE_CHECKING:
    from pydicom import FileDataset

_GAP_TOLERANCE = 0.02
"""Share of the slice gap by which gaps may differ."""
_LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0])
_NEEDED = ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "Rows", "Columns", "SeriesInstanceUID")


@dataclass(frozen=True)
class Series:
    """A DICOM series.

    Attributes:
        voxels: (columns, rows, slices), rescaled: HU for CT; int16 where all values are whole and fit, else float32.
        affine: (4, 4), voxel indices to RAS+ mm.
        order: for each slice its number among the series' files as sorted by name.
    """

    voxels: NDArray[Any]
    affine: NDArray[np.float64]
    order: tuple[int, ...]


def series_modality(folder: Path) -> str:
    """Modality of the first file of a series, such as ``CT`` or ``MR``.

    Raises:
        DataError: the folder holds no DICOM file.
    """
    return str(_read(series_files(folder)[0], pixels=False).get("Modality", "(none)"))


def series_files(folder: Path) -> list[Path]:
    """The files of a series by name.

    Raises:
        DataError: there are none.
    """
    files = sorted(path for path in folder.iterdir() if path.is_file() and not path.name.startswith("."))
    if not files:
        raise _unusable(folder, "holds no files.", "Copy the series there.")
    return files


def read_series(folder: Path) -> Series:
    """Read the one series that a folder holds.

    Raises:
        DataError: a file is not readable, several series are mixed, slices differ in size or direction, two slices
            lie at one position, a slice is missing, or the gantry was tilted.
    """
    slices = [_read(path, pixels=True) for path in series_files(folder)]
    _check_alike(folder, slices)
    across, down = np.array(slices[0].ImageOrientationPatient, dtype=float).reshape(2, 3)
    normal = np.cross(across, down)
    positions = np.array([part.ImagePositionPatient for part in slices], dtype=float)
    order = np.argsort(positions @ normal, kind="stable")
    step = _slice_step(folder, positions[order], normal)
    row_spacing, column_spacing = (float(value) for value in slices[0].PixelSpacing)
    affine = np.eye(4)
    columns = (across * column_spacing, down * row_spacing, step, positions[order[0]])
    affine[:3] = _LPS_TO_RAS @ np.column_stack(columns)
    voxels = np.stack([_rescaled(slices[index]).T for index in order], axis=-1)
    return Series(_smallest_type(voxels), affine, tuple(int(index) for index in order))


def _read(path: Path, *, pixels: bool) -> FileDataset:
    try:
        from pydicom import dcmread
        from pydicom.errors import InvalidDicomError
    except ImportError:
        raise _unusable(
            path, "reading DICOM needs pydicom, which is not installed.", "pip install 'flareseg[dicom]'"
        ) from None
    try:
        content = dcmread(path, stop_before_pixels=not pixels)
    except (InvalidDicomError, OSError, EOFError, ValueError) as error:
        raise _unusable(path, f"cannot be read as DICOM ({error}).", "Copy or export the series again.") from None
    missing = [name for name in _NEEDED if content.get(name) is None] if pixels else []
    if missing:
        raise _unusable(
            path,
            f"expected a slice of a volume, found no {', '.join(missing)}.",
            "Move files that are no slices (scouts, reports, enhanced multi-frame files) out of the folder.",
        )
    return content


def _check_alike(folder: Path, slices: Sequence[FileDataset]) -> None:
    series = sorted({str(part.SeriesInstanceUID) for part in slices})
    if len(series) > 1:
        counts = [sum(part.SeriesInstanceUID == uid for part in slices) for uid in series]
        raise _unusable(
            folder,
            f"expected one series, found {len(series)} mixed ({', '.join(map(str, counts))} files).",
            "Keep one series in each folder.",
        )
    for name in ("Rows", "Columns", "PixelSpacing", "ImageOrientationPatient"):
        values = np.array([part.get(name) for part in slices], dtype=float)
        if not np.allclose(values, values[0], atol=1e-4):
            raise _unusable(folder, f"slices differ in {name}.", "Keep one volume in each folder: move scouts away.")
    if any(int(part.get("NumberOfFrames", 1)) > 1 or int(part.get("SamplesPerPixel", 1)) > 1 for part in slices):
        raise _unusable(folder, "holds multi-frame or colour images.", "Export the series as one grey file a slice.")


def _slice_step(folder: Path, positions: NDArray[np.float64], normal: NDArray[np.float64]) -> NDArray[np.float64]:
    """The vector (mm, LPS) from one slice to the next."""
    if len(positions) < 2:
        raise _unusable(folder, "expected at least two slices, found one.", "Copy the whole series there.")
    steps = np.diff(positions, axis=0)
    gaps = steps @ normal
    usual = float(np.median(gaps))
    if gaps.min() < 1e-3:
        raise _unusable(
            folder,
            f"two slices lie at one position ({positions[int(gaps.argmin())].round(2).tolist()} mm).",
            "Keep one volume in each folder: separate echoes, phases and time points.",
        )
    if np.abs(gaps - usual).max() > _GAP_TOLERANCE * usual:
        worst = int(np.abs(gaps - usual).argmax())
        raise _unusable(
            folder,
            f"slices are {usual:.2f} mm apart, but slices {worst + 1} and {worst + 2} are {gaps[worst]:.2f} mm apart.",
            "A slice is missing, or two reconstructions are mixed: export the series again.",
        )
    step: NDArray[np.float64] = (positions[-1] - positions[0]) / (len(positions) - 1)
    if np.linalg.norm(step - normal * (step @ normal)) > _GAP_TOLERANCE * usual:
        raise _unusable(
            folder, "the gantry was tilted: slices are shifted against each other.", "Export it resampled to a box."
        )
    return step


def _rescaled(part: FileDataset) -> NDArray[np.float64]:
    from pydicom.pixels import apply_modality_lut

    try:
        return np.asarray(apply_modality_lut(part.pixel_array, part), dtype=np.float64)
    except Exception as error:  # pydicom's decoders raise whatever they like; all mean the same to the user
        raise _unusable(
            Path(str(part.filename)),
            f"its pixels cannot be decoded ({' '.join(str(error).split())}).",
            "The file is cut short, or compressed in a way that needs a plug-in: export it uncompressed.",
        ) from None


def _smallest_type(voxels: NDArray[np.float64]) -> NDArray[Any]:
    whole = bool((voxels == np.rint(voxels)).all()) and bool((np.abs(voxels) < 2**15).all())
    return voxels.astype(np.int16 if whole else np.float32)


def _unusable(path: Path, problem: str, remedy: str) -> DataError:
    return DataError(f"{path}: {problem}", remedy, code=ErrorCode.UNREADABLE_IMAGE)
