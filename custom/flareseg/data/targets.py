"""Targets: the connected parts of a label, and how large they are. One measure for training, scores and checks."""

from __future__ import annotations

import numpy as np
from scipy import ndimage


def label_targets(mask: np.ndarray) -> tuple[np.ndarray, int]:
    """Number the connected parts of a mask (neighbours by side, edge or corner), (X, Y) or (X, Y, Z)."""
    parts, count = ndimage.label(mask, structure=np.ones([3] * mask.ndim))
    return parts, int(count)


def target_voxels(parts: np.ndarray, count: int) -> np.ndarray:
    """Voxels of each numbered part, int (count,)."""
    return np.bincount(parts.ravel(), minlength=count + 1)[1:]


def equivalent_diameters(voxels: np.ndarray, spacing: np.ndarray, dims: int) -> np.ndarray:
    """Diameter of the ball (3D) or the disc (2D) of the same size, in the unit of the spacing, float64.

    Args:
        voxels: of each target.
        spacing: (3,) voxel size in mm, or 1 for pixels.
        dims: 3 for volumes, 2 where there is one slice alone.
    """
    sizes = np.asarray(voxels, dtype=np.float64) * float(np.prod(spacing[:dims]))
    return 2 * np.sqrt(sizes / np.pi) if dims == 2 else np.cbrt(6 * sizes / np.pi)
