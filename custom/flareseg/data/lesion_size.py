"""How large the lesions of a case are, for splits that are balanced by it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import ndimage

from flareseg.data.annotation import Annotation, is_two_valued
from flareseg.data.case import Case
from flareseg.data.case_files import FRAMES
from flareseg.data.components import equivalent_diameters, label_components
from flareseg.data.frames import read_frame
from flareseg.data.label_values import mask_of
from flareseg.data.nifti import grid_of, open_nifti, read_voxels, volume_fault


def lesion_size(case: Case, values: Sequence[int]) -> float:
    """Size of the largest connected lesion of a case.

    Args:
        case: a volume, or an RGB frame whose mask is the lesion.
        values: the label values that are lesions.

    Returns:
        Equivalent diameter in mm; in an RGB frame the same in shares of its side. 0 if there is none.

    Raises:
        DataError: the label is not readable.
    """
    own = tuple(values)
    lesion = Annotation({"lesion": own}, frozenset(), frozenset({0, *own}), False, two_valued=is_two_valued([own]))
    if case.label.suffix.lower() in FRAMES:
        mask = read_frame(case, lesion)[1]["lesion"]
        spacing = np.full(3, mask.size**-0.5)
    else:
        opened = open_nifti(case.label, case.name)
        if fault := volume_fault(opened, case.label, case.name):
            raise fault.error()
        label = np.rint(read_voxels(opened, case.label, case.name))
        mask, spacing = mask_of(label, values), grid_of(opened).spacing
    return float(component_diameters(mask.astype(np.uint8), spacing).max(initial=0.0))


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
