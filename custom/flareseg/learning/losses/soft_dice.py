"""Soft Dice with cross-entropy, of a batch and of a volume in parts."""

from __future__ import annotations

import torch
from monai.losses import DiceLoss
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits


class SoftDice(torch.nn.Module):
    """Soft Dice over the batch plus weighted binary cross-entropy, on sigmoid outputs.

    Args:
        ce_weight: weight of the cross-entropy; 0 for none.
        smooth: added to numerator and denominator of Dice.
    """

    def __init__(self, ce_weight: float, smooth: float = 1e-5) -> None:
        super().__init__()
        self.ce_weight = ce_weight
        self.dice = DiceLoss(sigmoid=True, batch=True, smooth_nr=smooth, smooth_dr=smooth)

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        """Compute the loss of (B, L, *spatial) logits and targets: a scalar."""
        loss: Tensor = self.dice(logits, target)
        if self.ce_weight:
            loss = loss + self.ce_weight * binary_cross_entropy_with_logits(logits, target)
        return loss


class SoftDiceOfVolume:
    """:class:`SoftDice` of one volume that comes in parts, the same up to rounding.

    Args:
        ce_weight: weight of the cross-entropy; 0 for none.
        smooth: added to numerator and denominator of Dice.
    """

    def __init__(self, ce_weight: float, smooth: float = 1e-5) -> None:
        self.ce_weight = ce_weight
        self._dice = DiceLoss(sigmoid=True, batch=True, smooth_nr=smooth, smooth_dr=smooth)
        self._sums: Tensor | int = 0
        self._cross_entropy, self._voxels = 0.0, 0

    def add(self, logits: Tensor, target: Tensor) -> None:
        """Add a part: float32 (L, *spatial) each."""
        predicted = torch.sigmoid(logits)
        sums = [value.flatten(1).sum(1, dtype=torch.float64) for value in (predicted * target, target, predicted)]
        self._sums = self._sums + torch.stack(sums)
        if self.ce_weight:
            self._cross_entropy += float(binary_cross_entropy_with_logits(logits, target, reduction="sum"))
        self._voxels += logits.numel()

    def value(self) -> float:
        """The loss of the parts so far."""
        both, truth, predicted = torch.as_tensor(self._sums)
        soft = 1 - (2 * both + self._dice.smooth_nr) / (truth + predicted + self._dice.smooth_dr)
        return float(soft.mean()) + self.ce_weight * self._cross_entropy / self._voxels
