"""How large the lesions of a case are, for splits that are balanced by it."""

from __future__ import annotations

from collections.abc import Sequence

import nibabel as nib
import numpy as np
from nibabel.affines import voxel_sizes
from scipy import ndimage

from flareseg.data.datalist import Case
from flareseg.data.frames import SUFFIXES, read_frame
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
    mask, unit = _frame(case) if case.label.suffix.lower() in SUFFIXES else _volume(case, values)
    found = ndimage.find_objects(mask)
    if not found:
        return 0.0
    components, _ = ndimage.label(mask[found[0]], structure=np.ones((3,) * mask.ndim))
    largest = float(np.bincount(components.ravel())[1:].max()) * unit
    return 2 * (largest / np.pi) ** 0.5 if mask.ndim == 2 else 2 * (3 * largest / (4 * np.pi)) ** (1 / 3)


def _frame(case: Case) -> tuple[np.ndarray, float]:
    mask = read_frame(case)[1][..., 0]
    return mask, 1 / mask.size


def _volume(case: Case, values: Sequence[int]) -> tuple[np.ndarray, float]:
    """The lesions as uint8 0 and 1, and the size of a voxel in mm³."""
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
    return mask, float(np.prod(voxel_sizes(label.affine)))
