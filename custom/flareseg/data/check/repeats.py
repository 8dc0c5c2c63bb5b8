"""Two phases of one examination, one behind the other in a file, of which one alone is labelled."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from flareseg.data.annotation import Annotation
from flareseg.data.case import Case
from flareseg.data.faults import LabelFault
from flareseg.data.faults.findings import Finding

_SLICES = 8
_PIXELS = 48
_ALIKE = 0.4


def repeat_faults(
    case: Case, masks: Mapping[str, np.ndarray], image: np.ndarray, annotation: Annotation
) -> Iterator[Finding]:
    """Find a stack of slices that begins again, with labels on one side of that place only.

    Args:
        case: the files.
        masks: bool (X, Y, Z) of each annotated label.
        image: float (X, Y, Z).
        annotation: which of the labels are organs.
    """
    organs = [masks[name] for name in annotation.organs]
    if not organs or image.shape[2] < _SLICES:
        return
    held = np.flatnonzero(np.logical_or.reduce(organs).any(axis=(0, 1)))
    again = repeats_at(image)
    if again is None or not len(held):
        return
    first, second = int((held < again).sum()), int((held >= again).sum())
    if not (first and second):
        message = (
            f"{case.label}: slices from {again + 1} on repeat those from the first on, and "
            f"{'the first' if second else 'the second'} of the two holds no label."
        )
        yield Finding(LabelFault.STACK_REPEATS, message, case.name)


def repeats_at(image: np.ndarray) -> int | None:
    """Number of the slice where a stack begins again, from 0; None where it does not.

    What all slices have in common, such as the body's outline, is taken away. What is left of two slices is unrelated,
    or of opposite sign, unless they show the same place of the same patient.

    Args:
        image: float (X, Y, Z).
    """
    count = image.shape[2]
    steps = [max(1, length // _PIXELS) for length in image.shape[:2]]
    slices = image[:: steps[0], :: steps[1]].reshape(-1, count).T.astype(np.float64)
    rest = slices - slices.mean(axis=0)
    rest -= rest.mean(axis=1, keepdims=True)
    rest /= np.maximum(np.linalg.norm(rest, axis=1, keepdims=True), 1e-9)
    alike = rest @ rest.T
    lags = range(count // 3, count - count // 3 + 1)
    best = max(lags, key=lambda lag: float(np.diagonal(alike, lag).mean()))
    return best if float(np.diagonal(alike, best).mean()) > _ALIKE else None
