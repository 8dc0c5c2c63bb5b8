"""η of a batch from the task's FedGS settings."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from flareseg.config.methods import SmallTarget
from flareseg.config.task import Task
from flareseg.data.components import component_sizes, label_components
from flareseg.fedgs import combine, size_deltas


class GradientScale:
    """Gives each training batch its η: 1 without FedGS.

    With several small-target labels an image counts by its largest δ, so that η stays within [1, 3].

    Args:
        task: gives the labels and the FedGS settings.
    """

    def __init__(self, task: Task) -> None:
        self.task = task

    def __call__(self, labels: np.ndarray, spacing: np.ndarray, annotated: Sequence[int]) -> float:
        """Compute η.

        Args:
            labels: uint8 (B, L, *spatial), after augmentation.
            spacing: float32 (B, 3) in mm.
            annotated: labels that the site has; the others hold no target.
        """
        settings = self.task.fedgs
        if settings is None:
            return 1.0
        if settings.constant is not None:
            return settings.constant
        deltas = np.zeros(len(labels))
        for name, target in settings.targets.items():
            index = self.task.labels.index(name)
            if index in annotated:
                deltas = np.maximum(deltas, target_deltas(labels[:, index : index + 1], spacing, target))
        return combine(deltas)


def target_deltas(mask: np.ndarray, spacing: np.ndarray, target: SmallTarget) -> np.ndarray:
    """δ of each image for one label.

    Args:
        mask: uint8 (B, 1, *spatial).
        spacing: float32 (B, 3) in mm; 2D images lie in the plane of the first two axes.
        target: what counts as small.

    Returns:
        float64 (B,), in [0, 1].
    """
    if target.target_size == "smallest_component":
        mask = smallest_components(mask)
    largest = target.largest_mm2 or target.largest_mm3
    if largest is None:
        return size_deltas(mask, log_base=target.log_base, threshold=target.threshold or 1.0)
    dims = mask.ndim - 2
    sizes = component_sizes(mask.reshape(len(mask), -1).sum(1), spacing, dims)
    # The bound itself counts as small; a spacing that float32 rounds may lie just above it.
    small = (sizes <= largest * (1 + 1e-6)).reshape(-1, *[1] * (dims + 1))
    return size_deltas(mask * small.astype(mask.dtype), log_base=target.log_base, threshold=1.0)


def smallest_components(mask: np.ndarray) -> np.ndarray:
    """Keep of each image its smallest connected component (neighbours by side, edge or corner), (B, 1, *spatial)."""
    kept = np.zeros_like(mask)
    for image, result in zip(mask[:, 0], kept[:, 0], strict=True):
        components, voxels = label_components(image)
        if len(voxels):
            result[...] = components == int(voxels.argmin()) + 1
    return kept
