"""η of a batch from the task's FedGS settings."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from flareseg.fedgs import combine, size_deltas
from flareseg.task import Task


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
        deltas = np.zeros(len(labels))
        for name, target in settings.targets.items():
            index = self.task.labels.index(name)
            if index in annotated:
                mask = labels[:, index : index + 1]
                deltas = np.maximum(deltas, size_deltas(mask, log_base=target.log_base, threshold=target.threshold))
        return combine(deltas)
