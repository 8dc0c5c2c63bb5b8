"""How large the lesions of a case are, for splits that are balanced by it."""

from __future__ import annotations

from collections.abc import Sequence

import nibabel as nib
import numpy as np
from nibabel.affines import voxel_sizes

from flareseg.data.datalist import Case
from flareseg.data.frames import SUFFIXES, read_frame
from flareseg.data.targets import equivalent_diameters, label_targets
from flareseg.errors import DataError, ErrorCode


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
    mask, spacing = _frame(case) if case.label.suffix.lower() in SUFFIXES else _volume(case, values)
    voxels = label_targets(mask)[1]
    return float(equivalent_diameters(voxels, spacing, mask.shape).max(initial=0.0))


def _frame(case: Case) -> tuple[np.ndarray, np.ndarray]:
    mask = read_frame(case)[1]
    return mask, np.full(3, mask.size**-0.5)


def _volume(case: Case, values: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    """The lesions as uint8 0 and 1, and the spacing in mm."""
    try:
        label = nib.load(case.label)
        mask = np.isin(np.asanyarray(label.dataobj), values).astype(np.uint8)
    except Exception as error:  # nibabel raises whatever the decoder raised; all mean the same to the user
        reason = " ".join(str(error).split()) or type(error).__name__
        raise DataError(
            f"{case.label}: cannot be read as NIfTI ({reason}).",
            "The file is damaged or cut short: copy or export it again.",
            code=ErrorCode.UNREADABLE_IMAGE,
            case=case.name,
        ) from None
    return mask, voxel_sizes(label.affine)
