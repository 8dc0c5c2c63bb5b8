"""Where voxels lie: how far apart two affines put the corners of one volume."""

from __future__ import annotations

import numpy as np
from nibabel.orientations import inv_ornt_aff, io_orientation
from numpy.typing import NDArray

_SAME = 0.499
"""Voxels by which a corner may lie off: less than half of one."""


def towards_ras(shape: tuple[int, ...], affine: NDArray[np.float64]) -> tuple[tuple[int, ...], NDArray[np.float64]]:
    """Shape and affine of a volume once its axes are turned towards R, A, S."""
    orientation = io_orientation(affine)
    turned = [0, 0, 0]
    for axis, target in enumerate(orientation[:, 0].astype(int)):
        turned[target] = shape[axis]
    return tuple(turned), np.asarray(affine @ inv_ornt_aff(orientation, shape))


def corners_apart(
    shape: tuple[int, ...], affine: NDArray[np.float64], other: NDArray[np.float64]
) -> tuple[float, float]:
    """How far a corner of a volume (X, Y, Z) lies from itself by another affine, at most: in voxels, and in mm."""
    corners = np.array([[*corner, 1] for corner in np.ndindex(2, 2, 2)]) * [*(np.array(shape) - 1), 1]
    apart = (corners @ (other - affine).T)[:, :3]
    voxels = apart @ np.linalg.inv(affine[:3, :3]).T
    return float(np.abs(voxels).max()), float(np.linalg.norm(apart, axis=1).max())


def same_place(shape: tuple[int, ...], affine: NDArray[np.float64], other: NDArray[np.float64]) -> bool:
    """Whether two affines put every corner of a volume at one place, within half a voxel."""
    return corners_apart(shape, affine, other)[0] < _SAME
