"""FedGIN's loss: focal and soft Dice."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from flareseg.config.choices import Loss
from flareseg.config.settings import Fraction, Positive

if TYPE_CHECKING:
    from torch import Tensor


class FocalDice(Loss):
    """Focal loss with soft Dice of each sample (FedGIN, arXiv 2508.05137), each label by itself (sigmoid)."""

    name: Literal["focal_dice"] = "focal_dice"
    focal_share: Fraction = 0.5
    """Share of the focal loss; the rest is Dice."""
    gamma: Annotated[float, Field(ge=0)] = 2.0
    """Focusing exponent: how little voxels count that are right already."""
    alpha: Positive = 0.25
    """Weight of the focal loss."""
    positive_weight: Positive = 3.0
    """Weight of voxels of the label in the cross-entropy."""
    smooth: Positive = 1e-5
    """Added to numerator and denominator of Dice."""

    def build(self) -> Callable[[Tensor, Tensor], Tensor]:
        """Build it."""
        import torch
        from monai.losses import DiceLoss
        from torch.nn.functional import binary_cross_entropy_with_logits

        dice = DiceLoss(sigmoid=True, smooth_nr=self.smooth, smooth_dr=self.smooth)

        def loss(logits: Tensor, target: Tensor) -> Tensor:
            entropy = binary_cross_entropy_with_logits(
                logits, target, reduction="none", pos_weight=torch.tensor(self.positive_weight, device=logits.device)
            )
            right = torch.sigmoid(torch.where(target > 0.5, logits, -logits))
            focal = self.alpha * ((1 - right) ** self.gamma * entropy).mean()
            total: Tensor = self.focal_share * focal + (1 - self.focal_share) * dice(logits, target)
            return total

        return loss
