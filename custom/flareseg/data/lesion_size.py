"""How large the lesions of a case are, for splits that are balanced by it."""

from __future__ import annotations

from collections.abc import Sequence

import nibabel as nib
import numpy as np
from nibabel.affines import voxel_sizes
from scipy import ndimage

from flareseg.data.components import equivalent_diameters, label_components
from flareseg.data.datalist import Case
from flareseg.data.frames import SUFFIXES, read_frame
from flareseg.errors import unreadable


def lesion_size(case: Case, values: Sequence[int]) -> float:
    """Size of the largest connected lesion of a case.

    Args:
        case: a volume, or an RGB frame whose mask is the lesion.
        values: the label values that are lesions.

    Returns:
        Equivalent diameter in mm; in an RGB frame the same in shares of its side. 0 where there is none.

    Raises:
        DataError: the label is not readable.
    """
    if case.label.suffix.lower() in SUFFIXES:
        mask = read_frame(case)[1]
        spacing = np.full(3, mask.size**-0.5)
    else:
        mask, spacing = _volume(case, values)
    return float(component_diameters(mask, spacing).max(initial=0.0))


def component_diameters(mask: np.ndarray, spacing: np.ndarray) -> np.ndarray:
    """Equivalent diameters of the connected components of a mask.

    Args:
        mask: uint8 (X, Y, Z) of 0 and 1.
        spacing: (3,) voxel size in mm, or 1 for pixels.

    Returns:
        (components,) in the unit of the spacing.
    """
    (box,) = ndimage.find_objects(mask) or (None,)
    voxels = np.zeros(0) if box is None else label_components(mask[box])[1]
    return equivalent_diameters(voxels, spacing, mask.shape)


def _volume(case: Case, values: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    """The lesions as uint8 0 and 1, and the voxel size in mm."""
    try:
        label = nib.load(case.label)
        mask = np.isin(np.asanyarray(label.dataobj), values).astype(np.uint8)
    except Exception as error:  # nibabel raises whatever the decoder raised; all mean the same to the user
        raise unreadable(case.label, "NIfTI", case.name, error) from None
    return mask, voxel_sizes(label.affine)
