"""Voxel grids in scanner space, and smooth random fields on them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]


@dataclass(frozen=True)
class PhantomGrid:
    """A volume's voxel grid, axes along RAS+ (x to the patient's right, y anterior, z superior).

    Args:
        shape: number of voxels along x, y, z.
        spacing: voxel size along x, y, z in mm.
        centre: scanner coordinates in mm of the middle of the volume.
    """

    shape: tuple[int, int, int]
    spacing: tuple[float, float, float]
    centre: tuple[float, float, float] = (0.0, 0.0, 0.0)

    @property
    def affine(self) -> NDArray[np.float64]:
        """The (4, 4) matrix from voxel indices to RAS+ mm."""
        affine = np.diag([*self.spacing, 1.0])
        affine[:3, 3] = np.subtract(self.centre, self.extent)
        return affine

    @property
    def extent(self) -> NDArray[np.float64]:
        """Distance in mm from the middle of the volume to its outermost voxel centres."""
        return (np.asarray(self.shape) - 1) / 2 * np.asarray(self.spacing)

    def axes(self) -> tuple[Array, Array, Array]:
        """Coordinates in mm relative to the middle of the volume, shaped to broadcast to `shape`."""
        x, y, z = (
            (np.arange(n) * step - end).astype(np.float32)
            for n, step, end in zip(self.shape, self.spacing, self.extent, strict=True)
        )
        return x[:, None, None], y[None, :, None], z[None, None, :]


def smooth_field(grid: PhantomGrid, knot_mm: float, rng: np.random.Generator) -> Array:
    """Draw a smooth random field: a cubic B-spline with normal coefficients.

    Args:
        grid: where the field is sampled.
        knot_mm: distance of the spline's knots in mm, the scale of the field's variation.
        rng: source of the coefficients.

    Returns:
        An array of the grid's shape, mean 0 and standard deviation about 1.
    """
    bases = [_spline_basis(n, step / knot_mm) for n, step in zip(grid.shape, grid.spacing, strict=True)]
    field = rng.standard_normal([basis.shape[1] for basis in bases], dtype=np.float32)
    for basis in bases:
        field = np.tensordot(field, basis, axes=(0, 1))  # the axis done moves to the end: three turns restore the order
    return np.ascontiguousarray(field)


def _spline_basis(n: int, step: float) -> Array:
    """Weights (n, knots) of the uniform cubic B-spline at n points `step` knots apart, rows of unit norm."""
    position = np.arange(n) * step
    knots = int(position[-1]) + 4
    distance = np.abs(position[:, None] + 1 - np.arange(knots)[None, :])
    near = 2 / 3 - distance**2 + distance**3 / 2
    far = np.clip(2 - distance, 0, None) ** 3 / 6
    basis = np.where(distance < 1, near, far)
    basis /= np.linalg.norm(basis, axis=1, keepdims=True)
    return basis.astype(np.float32)
