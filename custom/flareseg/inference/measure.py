"""What a segmentation is of: cleaned masks, one label map, volumes, lesions, and a word of doubt."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy import ndimage

from flareseg.config.task import Task
from flareseg.data.components import component_sizes, equivalent_diameters, label_components

_SURE, _UNSURE = 0.9, 0.7
_MANY_PARTS = 5


@dataclass(frozen=True)
class Measurement:
    """One label in one image.

    Attributes:
        label: its name.
        size: ml of a volume, pixels of a frame.
        components: number of connected components.
        diameters: equivalent diameter of each component, largest first, in mm or pixels.
        sizes: size of each, in the same order.
        doubts: what a reader should look at, see :func:`doubts`.
        sign: quality sign in [0, 1]: agreement over flips where there were any, else certainty; NaN where empty.
    """

    label: str
    size: float
    components: int
    diameters: list[float]
    sizes: list[float]
    sign: float
    doubts: list[str] = field(default_factory=list)

    @property
    def word(self) -> str:
        """The sign as a word."""
        if math.isnan(self.sign):
            return "not found"
        return "sure" if self.sign >= _SURE else "unsure" if self.sign >= _UNSURE else "doubtful"


def clean(masks: np.ndarray, task: Task, *, largest: bool, fill: bool) -> np.ndarray:
    """Keep the largest component of each organ, and fill holes of each label.

    Args:
        masks: bool (L, X, Y, Z); changed in place.
        task: names the lesion label, whose components all stay.
        largest: whether smaller components of organs go.
        fill: whether holes are filled: what is enclosed in all directions.
    """
    for mask, label in zip(masks, task.labels, strict=True):
        if largest and label in task.organs:
            components, voxels = label_components(mask)
            if len(voxels) > 1:
                mask &= components == int(voxels.argmax()) + 1
        if fill and mask.any():
            flat = mask.shape[2] == 1
            mask |= ndimage.binary_fill_holes(mask[..., 0])[..., None] if flat else ndimage.binary_fill_holes(mask)
    return masks


def label_map(masks: np.ndarray, task: Task) -> np.ndarray:
    """One map, uint8 (X, Y, Z): each label by its number from 1 in the task's order.

    Where labels overlap, the later one of the task stands, and the lesion label above all.
    """
    result = np.zeros(masks.shape[1:], dtype=np.uint8)
    order = sorted(range(len(task.labels)), key=lambda index: task.labels[index] not in task.organs)
    for index in order:
        result[masks[index]] = index + 1
    return result


def measure_masks(
    masks: np.ndarray, spacing: np.ndarray, task: Task, signs: Sequence[float], flat: bool
) -> list[Measurement]:
    """Measure each label.

    Args:
        masks: bool (L, X, Y, Z).
        spacing: (3,) in mm, or 1 for pixels.
        task: names the labels.
        signs: quality sign of each label.
        flat: a frame, whose sizes are in pixels.
    """
    results = []
    for mask, label, sign in zip(masks, task.labels, signs, strict=True):
        box = ndimage.find_objects(mask.astype(np.uint8))
        voxels = np.sort(label_components(mask[box[0]])[1])[::-1] if box else np.zeros(0, dtype=int)
        sizes = voxels.astype(float) if flat else component_sizes(voxels, spacing, 3) / 1000
        diameters = equivalent_diameters(voxels, spacing, mask.shape)
        item = Measurement(label, float(sizes.sum()), len(voxels), diameters.tolist(), sizes.tolist(), sign)
        item.doubts.extend(doubts(item, mask, task))
        results.append(item)
    return results


def doubts(found: Measurement, mask: np.ndarray, task: Task) -> list[str]:
    """What a reader should look at in one label, a sentence each.

    Args:
        found: what was measured.
        mask: bool (X, Y, Z).
        task: says whether the label is an organ, of which there should be one and all of it.
    """
    organ = found.label in task.organs
    if not found.components:
        return [f"no {found.label} was found"] if organ else []
    sentences = [] if found.word == "sure" else [f"{found.label}: {found.word} ({found.sign:.2f})"]
    if organ and found.components > _MANY_PARTS:
        sentences.append(f"{found.label}: {found.components} parts")
    if organ and mask.shape[2] > 1 and (mask[..., 0].any() or mask[..., -1].any()):
        sentences.append(f"{found.label}: cut off at the first or last slice")
    return sentences
