"""Where voxels lie: shape and affine, and how far apart two grids of the same voxels are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from nibabel.affines import voxel_sizes
from nibabel.orientations import inv_ornt_aff, io_orientation

SAME_GRID = 0.5
"""By how many voxels a corner of a label may lie off the same corner of its image."""
_ROUNDING = 1e-3  # half a voxel is another grid, whatever its last digit


@dataclass(frozen=True)
class Grid:
    """Voxels in space.

    Attributes:
        shape: number of voxels along three axes.
        affine: (4, 4), voxel indices to mm, RAS+.
    """

    shape: tuple[int, ...]
    affine: np.ndarray

    @property
    def spacing(self) -> np.ndarray:
        """(3,) voxel size in mm along the axes."""
        return np.asarray(voxel_sizes(self.affine))

    @property
    def orientation(self) -> np.ndarray:
        """(3, 2) of nibabel: for each axis the one of R, A, S it runs along, and its sign."""
        return np.asarray(io_orientation(self.affine))

    def canonical(self) -> Grid:
        """The same voxels with their axes turned towards R, A, S.

        Example:
            >>> turned = Grid((4, 3, 2), np.diag([-1.0, 1.0, 1.0, 1.0])).canonical()
            >>> turned.affine[0].tolist()
            [1.0, 0.0, 0.0, -3.0]
        """
        orientation = self.orientation
        if (orientation == [[0, 1], [1, 1], [2, 1]]).all():
            return self
        shape = [0, 0, 0]
        for axis, target in enumerate(orientation[:, 0].astype(int)):
            shape[target] = self.shape[axis]
        return Grid(tuple(shape), self.affine @ inv_ornt_aff(orientation, self.shape))

    def with_spacing(self, spacing: Sequence[float] | np.ndarray) -> Grid:
        """The same directions and origin with another voxel size (mm)."""
        affine = np.array(self.affine, dtype=np.float64)
        affine[:3, :3] *= np.asarray(spacing) / self.spacing
        return Grid(self.shape, affine)

    def corners_apart(self, other: np.ndarray) -> tuple[float, float]:
        """How far the same corner lies from itself by another affine, at most.

        Args:
            other: (4, 4) affine of a grid of the same shape.

        Returns:
            In voxels of this grid along the axis where it is most, and in mm.
        """
        corners = np.array([[*corner, 1] for corner in np.ndindex(2, 2, 2)]) * [*(np.array(self.shape) - 1), 1]
        apart = (corners @ (other - self.affine).T)[:, :3]
        voxels = apart @ np.linalg.inv(self.affine[:3, :3]).T
        return float(np.abs(voxels).max()), float(np.linalg.norm(apart, axis=1).max())

    def holds(self, other: Grid) -> bool:
        """Whether another grid is this one, within half a voxel at every corner."""
        return self.shape == other.shape and self.corners_apart(other.affine)[0] < SAME_GRID - _ROUNDING


def in_mm(sizes: Sequence[float] | np.ndarray) -> str:
    """A voxel size as text.

    >>> in_mm([0.7, 0.7, 5])
    '0.7 × 0.7 × 5 mm'
    """
    return " × ".join(f"{size:g}" for size in np.round(sizes, 3)) + " mm"


def by(numbers: Sequence[int] | np.ndarray) -> str:
    """A number of voxels as text.

    >>> by((64, 64, 20))
    '64 × 64 × 20'
    """
    return " × ".join(str(int(number)) for number in numbers)
