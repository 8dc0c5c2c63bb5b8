"""What a label holds: a mask of the values that site.yaml names, on the patient that the image shows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from flareseg.config.site import Site
from flareseg.config.task import Task
from flareseg.data.components import label_components
from flareseg.data.datalist import Case
from flareseg.data.faults import LabelFault
from flareseg.data.faults.findings import Finding

_MASK_VALUES, _IMAGE_VALUES = 32, 64
_MOST_VALUES = 500
_FEW_VOXELS = 3
_COVERED = 0.9
_BACKGROUND = 0.05
_TOUCHED = 0.05
_VISIBLE = 0.05
_GAPS, _SLICES = 0.3, 6


@dataclass(frozen=True)
class Annotation:
    """What a site's labels mean.

    Attributes:
        values: of each annotated label.
        lesions: labels that a scan may lack: the task's small targets.
        named: every value that site.yaml names, those of labels that the task does not know among them.
        by_task: whether a task says which labels are lesions; without one every label counts as an organ.
    """

    values: dict[str, tuple[int, ...]]
    lesions: frozenset[str]
    named: frozenset[int]
    by_task: bool

    @classmethod
    def of(cls, site: Site, task: Task | None) -> Annotation:
        """Join site and task."""
        known = site.labels if task is None else {name: site.labels.get(name) for name in task.labels}
        small = set(task.fedgs.targets if task and task.fedgs else ()) | (
            {task.lesion.label} if task and task.lesion else set()
        )
        named = {value for values in site.labels.values() for value in values or ()} | {0}
        return cls(
            {name: values for name, values in known.items() if values},
            frozenset(small),
            frozenset(named),
            task is not None,
        )

    @property
    def organs(self) -> list[str]:
        """Annotated labels that every scan of the region has."""
        return [name for name in self.values if name not in self.lesions]


def mask_faults(case: Case, label: np.ndarray, image: np.ndarray, annotation: Annotation) -> Iterator[Finding]:
    """Check whether a label is a mask at all, by its values; an error here makes the other checks meaningless.

    Args:
        case: the files.
        label: all voxels as stored.
        image: all voxels of the image.
        annotation: what the values mean.
    """
    values = np.unique(label)
    if len(values) > _IMAGE_VALUES and len(np.unique(image)) <= _MASK_VALUES:
        yield Finding(
            LabelFault.SWAPPED,
            f"{case.label}: holds {len(values)} values, its image {case.image.name} only {len(np.unique(image))}.",
            case.name,
        )
        return
    if not np.isfinite(values).all() or (values != np.rint(values)).any():
        wrong = values[~np.isfinite(values) | (values != np.rint(values))]
        yield Finding(
            LabelFault.LABEL_NOT_INTEGER, f"{case.label}: expected whole numbers, found {_some(wrong)}.", case.name
        )
        return
    if len(values) > _MOST_VALUES:
        yield Finding(LabelFault.LABEL_NOT_A_MASK, f"{case.label}: holds {len(values)} values.", case.name)
        return
    unnamed = [int(value) for value in values if int(value) not in annotation.named]
    if negative := [value for value in unnamed if value < 0]:
        yield Finding(LabelFault.LABEL_NEGATIVE, f"{case.label}: holds {_some(negative)}.", case.name)
    if positive := [value for value in unnamed if value > 0]:
        yield Finding(
            LabelFault.VALUES_UNMAPPED,
            f"{case.label}: holds {_some(positive)}, which site.yaml names nowhere.",
            case.name,
        )


def content_faults(
    case: Case, masks: Mapping[str, np.ndarray], image: np.ndarray, annotation: Annotation, *, grey: bool
) -> Iterator[Finding]:
    """Check where the labels lie in the image.

    Args:
        case: the files.
        masks: bool (X, Y, Z) of each annotated label.
        image: float (X, Y, Z), or (X, Y, Z, 3) of a frame.
        annotation: which of the labels are organs.
        grey: a CT or MR; frames may be empty, and have no background.
    """
    covered = {name: float(mask.mean()) for name, mask in masks.items()}
    for name, share in covered.items():
        if share > _COVERED:
            yield Finding(LabelFault.COVERS_IMAGE, f"{case.label}: {name} covers {share:.1%} of the image.", case.name)
    if not any(covered.values()):
        if grey and annotation.organs:
            yield Finding(LabelFault.LABEL_EMPTY, f"{case.label}: none of {', '.join(masks)} occurs.", case.name)
        return
    for name, mask in masks.items():
        voxels = label_components(mask)[1]
        tiny = int((voxels <= _FEW_VOXELS).sum())
        if tiny:
            yield Finding(
                LabelFault.TINY_TARGETS,
                f"{case.label}: {tiny} of {len(voxels)} parts of {name} have at most {_FEW_VOXELS} voxels.",
                case.name,
            )
    if not grey:
        return
    together = np.logical_or.reduce(list(masks.values()))
    low, high = float(image.min()), float(np.percentile(image, 99.5))
    touched = float((image[together] > low + _BACKGROUND * (high - low)).mean())
    if touched < _TOUCHED:
        yield Finding(
            LabelFault.LABEL_OFF_IMAGE,
            f"{case.label}: {1 - touched:.0%} of its labelled voxels lie where the image is empty.",
            case.name,
        )
    for name in annotation.organs if annotation.by_task else ():
        if (share := _gaps(masks[name])) > _GAPS:
            yield Finding(
                LabelFault.ANNOTATION_GAPS,
                f"{case.label}: {share:.0%} of the slices between the first and the last of {name} hold none of it.",
                case.name,
            )


def window_faults(
    case: Case, masks: Mapping[str, np.ndarray], image: np.ndarray, window: tuple[float, float] | None
) -> Iterator[Finding]:
    """Check that the task's window (HU) shows what is labelled; nothing to check where there is none."""
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


def _some(values: object) -> str:
    """The first few of several numbers."""
    numbers = [f"{value:g}" for value in np.asarray(values).ravel()]
    return ", ".join(numbers[:5]) + (f" and {len(numbers) - 5} more" if len(numbers) > 5 else "")
