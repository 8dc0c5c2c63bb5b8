"""The training loss: every label by itself, only labels the site has annotated."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from monai.losses import DiceLoss
from torch.nn.functional import binary_cross_entropy_with_logits

from flareseg.config.task import Loss


class MaskedLoss(torch.nn.Module):
    """Soft Dice over the batch plus weighted binary cross-entropy, on sigmoid outputs.

    Args:
        settings: the loss of the task.
        annotated: indices of the labels that the site has annotated; the others get no gradient.
    """

    def __init__(self, settings: Loss, annotated: Sequence[int]) -> None:
        super().__init__()
        self.annotated = list(annotated)
        self.ce_weight = settings.ce_weight if settings.name == "dice_ce" else 0.0
        self.dice = DiceLoss(sigmoid=True, batch=True)

    def forward(self, logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Compute the loss.

        Args:
            logits: (B, L, *spatial).
            target: (B, L, *spatial) of 0 and 1, any dtype.

        Returns:
            A scalar.
        """
        logits = logits[:, self.annotated].float()
        target = target[:, self.annotated].float()
        loss: torch.Tensor = self.dice(logits, target)
        if self.ce_weight:
            loss = loss + self.ce_weight * binary_cross_entropy_with_logits(logits, target)
        return loss


class VolumeLoss:
    """:class:`MaskedLoss` of one volume that comes in parts, the same up to rounding.

    Args:
        loss: gives the settings and the annotated labels.
    """

    def __init__(self, loss: MaskedLoss) -> None:
        self.loss = loss
        self._sums = torch.zeros(3, len(loss.annotated), dtype=torch.float64)
        self._cross_entropy, self._voxels = 0.0, 0

    def add(self, logits: torch.Tensor, target: torch.Tensor) -> None:
        """Add a part: (L, *spatial) each, as of :class:`MaskedLoss` without the batch."""
        logits = logits[self.loss.annotated].float()
        target = target[self.loss.annotated].float()
        predicted = torch.sigmoid(logits)
        for row, value in zip(self._sums, (predicted * target, target, predicted), strict=True):
            row += value.flatten(1).sum(1, dtype=torch.float64)
        if self.loss.ce_weight:
            self._cross_entropy += float(binary_cross_entropy_with_logits(logits, target, reduction="sum"))
        self._voxels += logits.numel()

    def value(self) -> float:
        """The loss of the parts so far."""
        dice, (both, truth, predicted) = self.loss.dice, self._sums
        soft = 1 - (2 * both + dice.smooth_nr) / (truth + predicted + dice.smooth_dr)
        return float(soft.mean()) + self.loss.ce_weight * self._cross_entropy / self._voxels
