"""A DICOM series as a volume: slices ordered by position, values in HU or raw MR values, affine to RAS+ mm."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from flareseg.data.prepare.grid_of_slices import Unequal, affine_of, check_directions
from flareseg.data.prepare.layouts.files import is_visible, natural
from flareseg.errors import DataError, ErrorCode

if TYPE_CHECKING:
    from pydicom import FileDataset

_NEEDED = ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "Rows", "Columns", "SeriesInstanceUID")
_RESCALING = ("RescaleSlope", "RescaleIntercept", "ModalityLUTSequence")
_LITTER = frozenset({"thumbs.db", "ehthumbs.db", "desktop.ini", "dicomdir", "lockfile", "icon\r"})
"""Files that systems and viewers leave beside the slices, in lower case."""


@dataclass(frozen=True)
class Series:
    """A DICOM series.

    Attributes:
        voxels: (columns, rows, slices), rescaled: HU for CT; int16 where all values are whole and fit, else float32.
        affine: (4, 4), voxel indices to RAS+ mm.
        files: the file of each slice.
        numbers: InstanceNumber of each slice; None where not every slice has one.
        instances: SOPInstanceUID of each slice.
        positions: (slices, 3), ImagePositionPatient in LPS mm.
    """

    voxels: NDArray[Any]
    affine: NDArray[np.float64]
    files: tuple[Path, ...]
    numbers: tuple[int, ...] | None
    instances: tuple[str, ...]
    positions: NDArray[np.float64]

    @property
    def gap(self) -> float:
        """Mm from one slice to the next."""
        return float(np.linalg.norm(self.positions[-1] - self.positions[0]) / (len(self.positions) - 1))


@dataclass(frozen=True)
class Slice:
    """Where a slice lies: its file, and ImagePositionPatient in LPS mm."""

    path: Path
    position: tuple[float, ...]


def series_modality(folder: Path) -> str:
    """Modality of the first file of a series, such as ``CT`` or ``MR``.

    Raises:
        DataError: the folder holds no DICOM file.
    """
    return str(read_header(series_files(folder)[0]).get("Modality", "(none)"))


def series_files(folder: Path) -> list[Path]:
    """The files of a series in natural order of their names, without what systems and viewers leave beside them.

    Raises:
        DataError: no file is found.
    """
    found = (path for path in folder.iterdir() if is_visible(path.name) and path.name.lower() not in _LITTER)
    files = sorted((path for path in found if path.is_file()), key=natural)
    if not files:
        raise _unusable(folder, "holds no files.", "Copy the series there.")
    return files


def series_slices(folder: Path) -> list[Slice]:
    """Where the slices of a series lie, without their pixels.

    Raises:
        DataError: a file is no slice.
    """
    parts = [(path, _slice(path, read_header(path))) for path in series_files(folder)]
    return [Slice(path, tuple(map(float, part.ImagePositionPatient))) for path, part in parts]


def read_series(files: Path | Sequence[Path]) -> Series:
    """Read a series.

    Args:
        files: its files, or the folder that holds it alone.

    Raises:
        DataError: a file is not readable, several series are mixed, slices differ in size, direction or scale, two
            slices lie at one position, a slice is missing, or the gantry was tilted.
    """
    paths = series_files(files) if isinstance(files, Path) else list(files)
    where = files if isinstance(files, Path) else paths[0].parent
    slices = [_slice(path, _read(path, pixels=True)) for path in paths]
    _check_alike(where, slices)
    try:
        check_directions(slices)
        affine, order = affine_of(slices)
    except Unequal as error:
        raise _unusable(where, error.problem, error.remedy) from None
    voxels = np.stack([_rescaled(slices[index]).T for index in order], axis=-1)
    numbers = [slices[index].get("InstanceNumber") for index in order]
    return Series(
        voxels=_smallest_type(voxels),
        affine=affine,
        files=tuple(paths[index] for index in order),
        numbers=None if None in numbers else tuple(int(number) for number in numbers),
        instances=tuple(str(slices[index].SOPInstanceUID) for index in order),
        positions=np.array([slices[index].ImagePositionPatient for index in order], dtype=float),
    )


def is_dicom(path: Path) -> bool:
    """Whether a file is to be read as DICOM: by its content, or because its name says so.

    Raises:
        DataError: it cannot be read.
    """
    if path.name.lower() in _LITTER:
        return False
    try:
        with path.open("rb") as stream:
            return stream.read(132)[128:] == b"DICM" or path.suffix.lower() == ".dcm"
    except OSError as error:
        raise _unusable(path, f"cannot be read ({error.strerror}).", "Check its permissions.") from None


def read_header(path: Path) -> FileDataset:
    """Read a DICOM file without its pixels.

    Raises:
        DataError: it is no DICOM file, or pydicom is not installed.
    """
    return _read(path, pixels=False)


def _read(path: Path, *, pixels: bool) -> FileDataset:
    try:
        from pydicom import dcmread
        from pydicom.errors import InvalidDicomError
    except ImportError:
        raise _unusable(
            path, "reading DICOM needs pydicom, which is not installed.", "pip install 'flareseg[dicom]'"
        ) from None
    try:
        return dcmread(path, stop_before_pixels=not pixels)
    except (InvalidDicomError, OSError, EOFError, ValueError) as error:
        raise _unusable(path, f"cannot be read as DICOM ({error}).", "Copy or export the series again.") from None


def _slice(path: Path, content: FileDataset) -> FileDataset:
    missing = [name for name in _NEEDED if content.get(name) is None]
    if missing:
        raise _unusable(
            path,
            f"expected a slice of a volume, found no {', '.join(missing)}.",
            "Move files that are no slices (scouts, reports, enhanced multi-frame files) out of the folder.",
        )
    return content


def _check_alike(where: Path, slices: Sequence[FileDataset]) -> None:
    series = sorted({str(part.SeriesInstanceUID) for part in slices})
    if len(series) > 1:
        counts = [sum(part.SeriesInstanceUID == uid for part in slices) for uid in series]
        raise _unusable(
            where,
            f"expected one series, found {len(series)} mixed ({', '.join(map(str, counts))} files).",
            "Keep one series in each folder.",
        )
    for name in ("Rows", "Columns"):
        if len({int(part.get(name)) for part in slices}) > 1:
            raise _unusable(where, f"slices differ in {name}.", "Keep one volume in each folder: move scouts away.")
    if any(int(part.get("NumberOfFrames") or 1) > 1 or int(part.get("SamplesPerPixel") or 1) > 1 for part in slices):
        raise _unusable(where, "holds multi-frame or colour images.", "Export the series as one grey file a slice.")
    for name in _RESCALING:
        without = sum(part.get(name) in (None, "") for part in slices)
        if 0 < without < len(slices):
            raise _unusable(
                where,
                f"{without} of {len(slices)} slices have no {name}, the others have: their values would be scaled in "
                "two ways.",
                "Export the series again; an anonymiser may have removed it.",
            )


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
