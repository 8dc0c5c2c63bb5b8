"""What of a label asks for a look: its shape, its place, and whether the task's window shows it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from flareseg.data.annotation import Annotation
from flareseg.data.case import Case
from flareseg.data.components import label_components
from flareseg.data.faults import LabelFault
from flareseg.data.faults.findings import Finding

_FEW_VOXELS = 3
_COVERED = 0.9
_VISIBLE = 0.05
_GAPS, _SLICES = 0.3, 6


def content_faults(
    case: Case, masks: Mapping[str, np.ndarray], annotation: Annotation, *, grey: bool
) -> Iterator[Finding]:
    """Check the shape of what is labelled.

    Args:
        case: the files.
        masks: bool (X, Y, Z) of each annotated label.
        annotation: which of the labels are organs.
        grey: a CT or MR; a frame has no slices.
    """
    for name, mask in masks.items():
        if (share := float(mask.mean())) > _COVERED:
            yield Finding(LabelFault.COVERS_IMAGE, f"{case.label}: {name} covers {share:.1%} of the image.", case.name)
        voxels = label_components(mask)[1]
        tiny = int((voxels <= _FEW_VOXELS).sum())
        if tiny:
            yield Finding(
                LabelFault.TINY_TARGETS,
                f"{case.label}: {tiny} of {len(voxels)} parts of {name} have at most {_FEW_VOXELS} voxels.",
                case.name,
            )
    for name in annotation.organs if grey and annotation.by_task else ():
        if (share := _gaps(masks[name])) > _GAPS:
            yield Finding(
                LabelFault.ANNOTATION_GAPS,
                f"{case.label}: {share:.0%} of the slices between the first and the last of {name} hold none of it.",
                case.name,
            )


def window_faults(
    case: Case, masks: Mapping[str, np.ndarray], image: np.ndarray, window: tuple[float, float] | None
) -> Iterator[Finding]:
    """Check that the task's window (HU) shows what is labelled; nothing to check if the task has none."""
    for name, mask in masks.items():
        if window is None or not mask.any():
            continue
        inside = image[mask]
        visible = float(((inside > window[0]) & (inside < window[1])).mean())
        if visible < _VISIBLE:
            yield Finding(
                LabelFault.LABEL_OUTSIDE_WINDOW,
                f"{case.label}: {visible:.1%} of the voxels of {name} lie between {window[0]:g} and {window[1]:g}.",
                case.name,
            )


def side_faults(case: Case, masks: Mapping[str, np.ndarray]) -> Iterator[Finding]:
    """Check that the liver lies on the patient's right of the spleen; masks with the first axis towards R."""
    by_name = {name.lower(): mask for name, mask in masks.items()}
    liver, spleen = by_name.get("liver"), by_name.get("spleen")
    if liver is None or spleen is None or not liver.any() or not spleen.any():
        return
    centres = [float(np.average(np.arange(len(mask)), weights=mask.sum((1, 2)))) for mask in (liver, spleen)]
    if centres[0] < centres[1]:
        yield Finding(
            LabelFault.LEFT_RIGHT_FLIP,
            f"{case.label}: the liver's centre lies {centres[1] - centres[0]:.0f} voxels left of the spleen's.",
            case.name,
        )


def _gaps(mask: np.ndarray) -> float:
    """Share of slices without the label between its first and its last slice; 0 where there are few."""
    held = np.flatnonzero(mask.any(axis=(0, 1)))
    if not len(held) or (span := int(held[-1] - held[0]) + 1) < _SLICES:
        return 0.0
    return 1 - len(held) / span
