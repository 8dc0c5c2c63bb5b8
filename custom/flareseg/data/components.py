"""Connected components of a label, and how large they are: one measure for FedGS, scores and checks."""

from __future__ import annotations

import numpy as np
from scipy import ndimage


def label_components(mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Number the connected components of a mask; neighbours share a side, an edge or a corner.

    Args:
        mask: (X, Y) or (X, Y, Z) of 0 and 1.

    Returns:
        components: int, the mask's shape: 0 or the number of the component, from 1.
        voxels: int (components,), of each component.
    """
    components, count = ndimage.label(mask, structure=np.ones([3] * mask.ndim))
    return components, np.bincount(components.ravel(), minlength=count + 1)[1:]


def component_sizes(voxels: np.ndarray, spacing: np.ndarray, dims: int) -> np.ndarray:
    """Volume (mm³) or, in two dimensions, area (mm²) of numbers of voxels, float64.

    Args:
        voxels: any shape.
        spacing: (..., 3) voxel size in mm, or 1 for pixels.
        dims: 3 for volumes, 2 for slices in the plane of the first two axes.
    """
    return np.asarray(voxels, dtype=np.float64) * np.prod(np.asarray(spacing, dtype=np.float64)[..., :dims], axis=-1)


def equivalent_diameters(voxels: np.ndarray, spacing: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Diameters of the balls of the same volumes, or of the discs of the same areas where there is one slice alone.

    Args:
        voxels: of each component.
        spacing: (3,) voxel size in mm, or 1 for pixels.
        shape: (X, Y, Z) of the image.
    """
    if shape[2] == 1:
        return 2 * np.sqrt(component_sizes(voxels, spacing, 2) / np.pi)
    return np.cbrt(6 * component_sizes(voxels, spacing, 3) / np.pi)
