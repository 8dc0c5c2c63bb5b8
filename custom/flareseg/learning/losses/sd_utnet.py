"""The loss of FedGS's SD-UTNet."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from flareseg.config.choices import Loss, VolumeLoss

if TYPE_CHECKING:
    from torch import Tensor

_SMOOTH = 0.1
Weight = Annotated[float, Field(ge=0)]


class SDUTNetLoss(Loss):
    """Loss of SD-UTNet (FedGS, arXiv 2408.11701): Dice, KL of the modality code, L1 of image and code made again."""

    needs = frozenset({"image", "reconstruction", "mean", "log_variance", "code", "code_again"})

    name: Literal["sd_utnet"] = "sd_utnet"
    dice_weight: Weight = 10.0
    """Weight of soft Dice over the batch."""
    kl_weight: Weight = 0.01
    """Weight of the KL divergence of the modality code from N(0, 1)."""
    code_weight: Weight = 1.0
    """Weight of the L1 distance between the code and that of the reconstruction."""
    image_weight: Weight = 1.0
    """Weight of the L1 distance between the image and its reconstruction."""

    def build(self) -> Callable[..., Tensor]:
        """Build it; beside logits and targets it takes the network's other outputs."""
        from torch.nn.functional import l1_loss

        from flareseg.learning.losses.soft_dice import SoftDice

        dice = SoftDice(0.0, _SMOOTH)

        def loss(logits: Tensor, target: Tensor, more: Mapping[str, Tensor]) -> Tensor:
            mean, log_variance = more["mean"].float(), more["log_variance"].float()
            divergence = 0.5 * (mean**2 + log_variance.exp() - 1 - log_variance).sum(1).mean()
            return (
                self.dice_weight * dice(logits, target)
                + self.kl_weight * divergence
                + self.code_weight * l1_loss(more["code_again"].float(), more["code"].float())
                + self.image_weight * l1_loss(more["reconstruction"].float(), more["image"].float())
            )

        return loss

    def of_volume(self) -> VolumeLoss:
        """Collect Dice alone: in evaluation there is no reconstruction."""
        from flareseg.learning.losses.soft_dice import SoftDiceOfVolume

        return SoftDiceOfVolume(0.0, _SMOOTH)
