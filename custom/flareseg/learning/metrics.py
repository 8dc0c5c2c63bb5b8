"""Scores of a model at a site: 3D Dice for each volume, never pooled over patients."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from monai.metrics import compute_dice
from scipy import ndimage

from flareseg.data.components import equivalent_diameters, label_components


@dataclass(frozen=True)
class Score:
    """A mean over volumes with the number of volumes behind it; ``mean`` is NaN if there is none."""

    mean: float
    volumes: int

    @classmethod
    def of(cls, values: Iterable[float]) -> Score:
        """Summarise the finite values; NaN marks a volume that has nothing to score."""
        finite = [value for value in values if math.isfinite(value)]
        return cls(float(np.mean(finite)) if finite else math.nan, len(finite))


@dataclass(frozen=True)
class CaseScores:
    """Scores of one volume. They stay where the volume is: only means over volumes are sent.

    Attributes:
        dice: 3D Dice of each annotated label, NaN where neither truth nor prediction has it.
        small: Dice of the small components of the lesion label, NaN where there is none.
        large: the same for the large components.
        loss: training loss.
    """

    dice: dict[str, float]
    small: float
    large: float
    loss: float


@dataclass(frozen=True)
class Scores:
    """What validation at a site tells: numbers only.

    Attributes:
        dice: for each annotated label the mean 3D Dice over volumes.
        small: Dice of the small components of the lesion label, over volumes that have any.
        large: the same for the large components.
        loss: mean training loss over volumes.
    """

    dice: dict[str, Score]
    small: Score
    large: Score
    loss: float

    @classmethod
    def of(cls, cases: Sequence[CaseScores], labels: Iterable[str]) -> Scores:
        """Summarise the volumes of a split.

        Args:
            cases: the volumes.
            labels: the annotated labels, each of which is named also where there is no volume.
        """
        return cls(
            dice={label: Score.of(case.dice[label] for case in cases) for label in labels},
            small=Score.of(case.small for case in cases),
            large=Score.of(case.large for case in cases),
            loss=Score.of(case.loss for case in cases).mean,
        )

    @property
    def mean(self) -> float:
        """Mean Dice over the labels that could be scored, NaN where none could."""
        return Score.of(score.mean for score in self.dice.values()).mean

    def as_dict(self) -> dict[str, Any]:
        """Plain numbers; NaN becomes None, so that the result is valid JSON."""
        return _without_nan({**asdict(self), "mean": self.mean})


def _without_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nan(item) for key, item in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value


def dice_per_label(prediction: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Dice of each label in one volume.

    Args:
        prediction: (L, X, Y, Z) of 0 and 1, any dtype.
        target: (L, X, Y, Z) of 0 and 1, any dtype.

    Returns:
        (L,) float; NaN where a label is absent from both, 0 where it is predicted but absent in truth.
    """
    prediction, target = prediction.bool(), target.bool()
    dice: torch.Tensor = compute_dice(prediction[None], target[None], include_background=True, ignore_empty=False)[0]
    empty = ~(prediction.flatten(1).any(1) | target.flatten(1).any(1))
    return torch.where(empty, torch.nan, dice.float())


def dice_by_size(prediction: np.ndarray, target: np.ndarray, spacing: np.ndarray, small: float) -> tuple[float, float]:
    """Dice of small and of large components in one volume.

    A component of the truth is small if the ball of its volume, or the disc of
    its area where there is one slice alone, has a diameter below ``small``. Each predicted voxel belongs to the
    nearest component, so it counts once.

    Args:
        prediction: (X, Y, Z) of 0 and 1.
        target: (X, Y, Z) of 0 and 1.
        spacing: (3,) voxel size in mm, or 1 for pixels.
        small: bound in the same unit.

    Returns:
        Dice of small and of large components, NaN where the volume has none of that size.
    """
    # What is neither target nor prediction counts for nothing: the box around both gives the same in less memory.
    (box,) = ndimage.find_objects((prediction.astype(bool) | target.astype(bool)).astype(np.uint8)) or (None,)
    if box is None:
        return math.nan, math.nan
    shape = target.shape
    prediction, target = prediction[box], target[box]
    parts, voxels = label_components(target)
    if not len(voxels):
        return math.nan, math.nan
    is_small = np.concatenate([[False], equivalent_diameters(voxels, spacing, shape) < small])
    nearest = ndimage.distance_transform_edt(parts == 0, sampling=spacing, return_distances=False, return_indices=True)
    owner = parts[tuple(nearest)]
    predicted = prediction.astype(bool)
    dice = []
    for wanted in (is_small, ~is_small & (np.arange(len(is_small)) > 0)):
        if not wanted.any():
            dice.append(math.nan)
            continue
        truth, found = wanted[parts], predicted & wanted[owner]
        dice.append(2.0 * float((truth & found).sum()) / float(truth.sum() + found.sum()))
    return dice[0], dice[1]
