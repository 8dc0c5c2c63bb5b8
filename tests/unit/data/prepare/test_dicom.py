"""A series becomes a volume in HU at the right place, and what is no single volume is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from pydicom.dataset import FileDataset
from pydicom.uid import generate_uid

from flareseg.data.prepare.dicom import read_series, series_modality
from flareseg.errors import DataError, ErrorCode
from layouts import write_series

STORED = np.arange(6 * 4 * 5, dtype=np.uint16).reshape(6, 4, 5)


def test_values_are_hu_and_the_affine_leads_to_the_patient(tmp_path: Path) -> None:
    series = read_series(write_series(tmp_path, STORED, slope=2.0, intercept=-1024.0))
    np.testing.assert_array_equal(series.voxels, STORED * 2.0 - 1024)
    assert series.voxels.dtype == np.int16
    assert series.numbers == (5, 4, 3, 2, 1)
    assert [path.name[:5] for path in series.files] == ["i0004", "i0003", "i0002", "i0001", "i0000"]
    # The first pixel of the lowest slice lies at (-30, -40, 100) LPS; columns are 1.5 mm, rows 2 mm apart.
    np.testing.assert_allclose(series.affine @ (0, 0, 0, 1), (30, 40, 100, 1))
    np.testing.assert_allclose(series.affine @ (1, 0, 0, 1), (28.5, 40, 100, 1))
    np.testing.assert_allclose(series.affine @ (0, 1, 0, 1), (30, 38, 100, 1))
    np.testing.assert_allclose(series.affine @ (0, 0, 4, 1), (30, 40, 112, 1))
    assert series_modality(tmp_path) == "CT"


def test_fractions_stay(tmp_path: Path) -> None:
    series = read_series(write_series(tmp_path, STORED, slope=0.5, intercept=0.0, modality="MR"))
    assert series.voxels.dtype == np.float32
    np.testing.assert_allclose(series.voxels, STORED * 0.5)


def test_slices_of_another_plane(tmp_path: Path) -> None:
    def coronal(number: int, part: FileDataset) -> None:
        part.ImageOrientationPatient = [1, 0, 0, 0, 0, -1]
        part.ImagePositionPatient = [0, 4.0 * number, 0]

    affine = read_series(write_series(tmp_path, STORED, spoil=coronal)).affine
    np.testing.assert_allclose(affine[:3, :3], [[-1.5, 0, 0], [0, 0, -4], [0, -2, 0]])


def another_series(number: int, part: FileDataset) -> None:
    if number == 2:
        part.SeriesInstanceUID = generate_uid()


def another_size(number: int, part: FileDataset) -> None:
    if number == 2:
        part.Rows, part.PixelData = 2, part.PixelData[: 2 * 6 * 2]


def another_direction(number: int, part: FileDataset) -> None:
    if number == 0:
        part.ImageOrientationPatient = [0, 1, 0, 0, 0, 1]


def another_spacing(number: int, part: FileDataset) -> None:
    if number == 1:
        part.PixelSpacing = [2.0, 1.0]


def same_place(number: int, part: FileDataset) -> None:
    if number == 3:
        part.ImagePositionPatient = [-30, -40, 112]


def slice_gone(number: int, part: FileDataset) -> None:
    if number > 2:
        part.ImagePositionPatient[2] -= 3


def tilted(number: int, part: FileDataset) -> None:
    part.ImagePositionPatient[1] += 0.8 * number


def no_position(number: int, part: FileDataset) -> None:
    if number == 1:
        del part.ImagePositionPatient


def colour(number: int, part: FileDataset) -> None:
    part.SamplesPerPixel = 3


def cut(number: int, part: FileDataset) -> None:
    if number == 1:
        part.PixelData = part.PixelData[:8]


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (another_series, r"expected one series, found 2 mixed"),
        (another_size, "slices differ in Rows"),
        (another_direction, "slices differ in ImageOrientationPatient"),
        (another_spacing, "slices differ in PixelSpacing"),
        (same_place, "two slices lie at one position"),
        (slice_gone, r"slices are 3\.00 mm apart, but slices 2 and 3 are 6\.00 mm apart"),
        (tilted, "gantry was tilted"),
        (no_position, "expected a slice of a volume, found no ImagePositionPatient"),
        (colour, "colour images"),
        (cut, "cannot be decoded"),
    ],
)
def test_what_is_no_single_volume_is_refused(
    tmp_path: Path, spoil: Callable[[int, FileDataset], None], words: str
) -> None:
    write_series(tmp_path, STORED, spoil=spoil)
    with pytest.raises(DataError, match=words) as error:
        read_series(tmp_path)
    assert error.value.code is ErrorCode.UNREADABLE_IMAGE
    assert str(tmp_path) in error.value.message
    assert error.value.remedy


def test_other_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds no files"):
        read_series(tmp_path)
    write_series(tmp_path, STORED[..., :1])
    with pytest.raises(DataError, match="at least two slices"):
        read_series(tmp_path)
    (tmp_path / "a.txt").write_text("hello")
    with pytest.raises(DataError, match=r"a\.txt: cannot be read as DICOM"):
        read_series(tmp_path)
