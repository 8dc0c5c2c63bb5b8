"""Voxels that cannot be trained on: no signal, another scale than HU, labels of nothing or of another place.

What only asks for a look is the check's, see ``data.check``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from flareseg.config.site import Scale, Site
from flareseg.config.task import Task
from flareseg.data.annotation import Annotation
from flareseg.data.faults import IntensityFault, LabelFault
from flareseg.data.faults.findings import Finding

_STORED_AIR_HU, _AIR_SHARE = (-1100.0, -500.0), 0.01
_BACKGROUND = 0.05
_TOUCHED = 0.05
_SAMPLE = 1 << 18


def signal_faults(values: np.ndarray, path: Path, site: Site, task: Task | None, case: str) -> Iterator[Finding]:
    """Check the voxels of one channel.

    Args:
        values: float32, scaled as site.yaml says: HU for CT.
        path: the file.
        site: gives modality and scale.
        task: gives the window; None checks the image by itself.
        case: name of the case.
    """
    low, high = float(values.min()), float(values.max())
    if not (np.isfinite(low) and np.isfinite(high)):
        wrong = int((~np.isfinite(values)).sum())
        yield Finding(IntensityFault.NOT_FINITE, f"{path}: {wrong} voxels are NaN or infinite.", case)
        return
    if low == high:
        yield Finding(IntensityFault.CONSTANT_IMAGE, f"{path}: every voxel is {low:g}.", case)
        return
    if site.modality == "CT" and (share := _stored_air(values, site.intensity)) > _AIR_SHARE:
        message = (
            f"{path}: {share:.0%} of the stored values are HU of air; with slope {site.intensity.slope:g} and "
            f"intercept {site.intensity.intercept:g} they run from {low:g} to {high:g}."
        )
        yield Finding(IntensityFault.SCALED_TWICE, message, case)
    window = task.modalities[site.modality].window if task else None
    if window and (low >= window[1] or high <= window[0]):
        yield Finding(
            IntensityFault.OUTSIDE_WINDOW,
            f"{path}: the values run from {low:g} to {high:g}, the task's window from {window[0]:g} to {window[1]:g}.",
            case,
        )


def placement_faults(
    masks: Mapping[str, np.ndarray], image: np.ndarray, path: Path, annotation: Annotation, case: str
) -> Iterator[Finding]:
    """Check that a scan's label marks something of what the scan shows.

    Args:
        masks: bool (X, Y, Z) of each annotated label.
        image: float (X, Y, Z).
        path: the label's file.
        annotation: which of the labels are organs.
        case: name of the case.
    """
    labelled = [mask for mask in masks.values() if mask.any()]
    if not labelled:
        if annotation.organs:
            yield Finding(LabelFault.LABEL_EMPTY, f"{path}: none of {', '.join(masks)} occurs.", case)
        return
    inside = image[np.logical_or.reduce(labelled)]
    sample = _sample(image)
    low, high = float(sample.min()), float(np.percentile(sample, 99.5))
    touched = float((inside > low + _BACKGROUND * (high - low)).mean())
    if touched < _TOUCHED:
        message = f"{path}: {1 - touched:.0%} of its labelled voxels lie where the image is empty."
        yield Finding(LabelFault.LABEL_OFF_IMAGE, message, case)


def _stored_air(values: np.ndarray, scale: Scale) -> float:
    """Share of voxels that are air in HU before site.yaml scales them; 0 where it does not."""
    if scale == Scale() or not scale.slope:
        return 0.0
    stored = (_sample(values) - scale.intercept) / scale.slope
    return float(((stored > _STORED_AIR_HU[0]) & (stored < _STORED_AIR_HU[1])).mean())


def _sample(values: np.ndarray) -> np.ndarray:
    """At least a quarter of a million voxels on a coarser grid, or all where there are fewer."""
    step = max(1, int((values.size / _SAMPLE) ** (1 / 3)))
    return values[::step, ::step, ::step]
