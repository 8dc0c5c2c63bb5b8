"""The grid that slices of a DICOM series lie on: one direction, equal gaps, no slice shifted against another."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from pydicom import Dataset

_GAP_TOLERANCE = 0.02
"""Share of the slice gap by which gaps may differ."""
_DIGIT_TOLERANCE = 0.25
"""The same where positions are written with few digits: a quarter of a gap is far from a missing slice."""
_COUNTS = 0.1
"""Share of a coordinate in the direction across slices from which its digits count."""
_CORNER_TOLERANCE = 0.5
"""Pixels by which the corners of two slices may lie apart within their plane."""
_LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0])


class Unequal(Exception):  # noqa: N818 - becomes a DataError that names the folder
    """Slices that are no volume: what is wrong, and what to do."""

    def __init__(self, problem: str, remedy: str) -> None:
        super().__init__(problem)
        self.problem = problem
        self.remedy = remedy


def check_directions(slices: Sequence[Dataset]) -> None:
    """Check that direction and pixel size of all slices put the corners at the same places of the plane.

    Raises:
        Unequal: they do not, or rows and columns are not at right angles.
    """
    first = slices[0]
    across, down = _directions(first)
    if abs(np.linalg.norm(across) - 1) > 0.01 or abs(np.linalg.norm(down) - 1) > 0.01 or abs(across @ down) > 0.01:
        raise Unequal("rows and columns of a slice are not at right angles.", "Export the series again.")
    sides = np.array([float(first.Columns), float(first.Rows)])
    pixel = np.array([float(first.PixelSpacing[1]), float(first.PixelSpacing[0])])
    allowed = _CORNER_TOLERANCE * pixel.min()
    for part in slices[1:]:
        turned = np.abs(np.array(_directions(part)) - np.array((across, down))) * (sides * pixel)[:, None]
        other = np.array([float(part.PixelSpacing[1]), float(part.PixelSpacing[0])])
        if (np.linalg.norm(turned, axis=1) > allowed).any():
            raise Unequal(
                "slices differ in ImageOrientationPatient.", "Keep one volume in each folder: move scouts away."
            )
        if (np.abs(other - pixel) * sides > allowed).any():
            raise Unequal("slices differ in PixelSpacing.", "Keep one volume in each folder: move scouts away.")


def affine_of(slices: Sequence[Dataset]) -> tuple[NDArray[np.float64], list[int]]:
    """The affine from (column, row, slice) to RAS+ mm, and the order of the slices in it.

    Raises:
        Unequal: there is a single slice, two lie at one position, one is missing or shifted, or the gantry was tilted.
    """
    across, down = _directions(slices[0])
    normal = np.cross(across, down)
    positions = np.array([part.ImagePositionPatient for part in slices], dtype=float)
    order = np.argsort(positions @ normal, kind="stable")
    digit = _last_digit(slices, normal)
    step = _step(positions[order], normal, digit)
    row_spacing, column_spacing = (float(value) for value in slices[0].PixelSpacing)
    pixel = min(row_spacing, column_spacing)
    aside = positions[order] - positions[order[0]] - np.arange(len(order))[:, None] * step
    aside -= np.outer(aside @ normal, normal)
    if np.linalg.norm(aside, axis=1).max() > _CORNER_TOLERANCE * pixel + digit:
        number = int(np.linalg.norm(aside, axis=1).argmax()) + 1
        raise Unequal(f"slice {number} is shifted against the others within its plane.", "Export the series again.")
    affine = np.eye(4)
    columns = (across * column_spacing, down * row_spacing, step, positions[order[0]])
    affine[:3] = _LPS_TO_RAS @ np.column_stack(columns)
    return affine, order.tolist()


def _directions(part: Dataset) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    across, down = np.array(part.ImageOrientationPatient, dtype=float).reshape(2, 3)
    return across, down


def _last_digit(slices: Sequence[Dataset], normal: NDArray[np.float64]) -> float:
    """Mm of the last digit with which positions across the slices are written: decimal strings keep it."""
    across = [axis for axis in range(3) if abs(normal[axis]) > _COUNTS]
    written = [str(part.ImagePositionPatient[axis]) for part in slices for axis in across]
    if any("e" in text.lower() for text in written):
        return 0.0
    return float(10.0 ** -max(len(text.partition(".")[2].rstrip("0")) for text in written))


def _step(positions: NDArray[np.float64], normal: NDArray[np.float64], digit: float) -> NDArray[np.float64]:
    """The vector (mm, LPS) from one slice to the next."""
    if len(positions) < 2:
        raise Unequal("expected at least two slices, found one.", "Copy the whole series there.")
    gaps = np.diff(positions, axis=0) @ normal
    usual = float(np.median(gaps))
    if gaps.min() < 1e-3:
        raise Unequal(
            f"two slices lie at one position ({positions[int(gaps.argmin())].round(2).tolist()} mm).",
            "Keep one volume in each folder: separate echoes, phases and time points.",
        )
    allowed = max(_GAP_TOLERANCE * usual, min(1.001 * digit, _DIGIT_TOLERANCE * usual))
    if np.abs(gaps - usual).max() > allowed:
        worst = int(np.abs(gaps - usual).argmax())
        raise Unequal(
            f"slices are {usual:.2f} mm apart, but slices {worst + 1} and {worst + 2} are {gaps[worst]:.2f} mm apart.",
            "A slice is missing, or two reconstructions are mixed: export the series again.",
        )
    step: NDArray[np.float64] = (positions[-1] - positions[0]) / (len(positions) - 1)
    if np.linalg.norm(step - normal * (step @ normal)) > _GAP_TOLERANCE * usual + digit / (len(positions) - 1):
        raise Unequal("the gantry was tilted: slices are shifted against each other.", "Export it resampled to a box.")
    return step
