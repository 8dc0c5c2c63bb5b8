"""The values of a label: whole numbers, of a mask, and among those that site.yaml names."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from flareseg.data.annotation import Annotation
from flareseg.data.faults import LabelFault
from flareseg.data.faults.findings import Finding

_MASK_VALUES, _IMAGE_VALUES = 32, 64
_MOST_VALUES = 500
_ROUNDING = 1e-3
_COARSEST_SCALE = 0.1


def whole_numbers(
    label: np.ndarray, image: np.ndarray, names: tuple[str, str], scale: float, case: str
) -> tuple[np.ndarray | None, list[int], list[Finding]]:
    """Read a label's voxels as whole numbers.

    A label that was saved with a scale in its header comes back a little off: 3 as 2.9999999993. Values that lie off a
    whole number by rounding alone are that number; others are no label's.

    Args:
        label: voxels as read, scaled by the header.
        image: the image's voxels, to tell whether the two were swapped.
        names: of the label's file and of the image's, for the findings.
        scale: the header's: stored whole numbers are multiples of it, so that values may be off by half of it.
        case: name of the case.

    Returns:
        An integer array of the same shape, or None where it is no label; its values, rising; what is wrong.
    """
    values = distinct(label)
    if len(values) > _IMAGE_VALUES and len(few := distinct(image, most=_MASK_VALUES)) <= _MASK_VALUES:
        message = f"{names[0]}: holds {len(values)} values, its image {names[1]} only {len(few)}."
        return None, [], [Finding(LabelFault.SWAPPED, message, case)]
    findings = []
    if not np.issubdtype(label.dtype, np.integer):
        off = np.abs(values - np.rint(values))
        within = _ROUNDING if scale > _COARSEST_SCALE else max(_ROUNDING, abs(scale) / 2)
        wrong = ~np.isfinite(values) | ~(off <= within)
        if wrong.any():
            message = f"{names[0]}: expected whole numbers, found {some(values[wrong])}."
            return None, [], [Finding(LabelFault.LABEL_NOT_INTEGER, message, case)]
        if off.any():
            message = f"{names[0]}: holds values such as {values[off.argmax()]:.10g}."
            findings.append(Finding(LabelFault.LABEL_ROUNDED, message, case))
        label, values = np.rint(label).astype(np.int32), np.unique(np.rint(values))
    if len(values) > _MOST_VALUES:
        return None, [], [Finding(LabelFault.LABEL_NOT_A_MASK, f"{names[0]}: holds {len(values)} values.", case)]
    return label, [int(value) for value in values], findings


def naming_faults(values: Iterable[int], path: object, annotation: Annotation, case: str) -> list[Finding]:
    """Compare the values of a label with those that site.yaml names."""
    faults, unnamed = [], [value for value in values if value not in annotation.named]
    if negative := [value for value in unnamed if value < 0]:
        faults.append(Finding(LabelFault.LABEL_NEGATIVE, f"{path}: holds {some(negative)}.", case))
    if positive := [value for value in unnamed if value > 0]:
        message = f"{path}: holds {some(positive)}, which site.yaml names nowhere."
        faults.append(Finding(LabelFault.VALUES_UNMAPPED, message, case))
    return faults


def mask_of(label: np.ndarray, values: Iterable[int]) -> np.ndarray:
    """Where a label of whole numbers has one of the values, bool."""
    wanted = list(values)
    # Files store the first axis fastest, which np.isin would copy into the other order first.
    return np.isin(label.T, wanted).T if label.flags.f_contiguous else np.isin(label, wanted)


def distinct(voxels: np.ndarray, most: int | None = None) -> np.ndarray:
    """The distinct values, rising; of an array that holds more than ``most`` some of them, but more than ``most``."""
    if voxels.dtype == np.uint8:
        return np.flatnonzero(np.bincount(voxels.ravel(order="K"), minlength=256))
    if most is not None:
        some = np.unique(voxels[:: max(1, len(voxels) // 4)])
        if len(some) > most:
            return some
    return np.unique(voxels)


def some(values: object) -> str:
    """The first few of several numbers."""
    numbers = [f"{value:g}" for value in np.asarray(values).ravel()]
    return ", ".join(numbers[:5]) + (f" and {len(numbers) - 5} more" if len(numbers) > 5 else "")
