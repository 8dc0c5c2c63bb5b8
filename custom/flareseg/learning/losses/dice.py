"""Soft Dice over the batch, alone or with binary cross-entropy."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from flareseg.config.choices import Loss, VolumeLoss
from flareseg.config.settings import Positive

if TYPE_CHECKING:
    from torch import Tensor


class Dice(Loss):
    """Soft Dice over the batch, each label by itself (sigmoid)."""

    name: Literal["dice"] = "dice"
    smooth: Positive = 1e-5
    """Added to numerator and denominator; 0.1 in FedGS's experiments."""

    def build(self) -> Callable[[Tensor, Tensor], Tensor]:
        """Build it."""
        from flareseg.learning.losses.soft_dice import SoftDice

        return SoftDice(0.0, self.smooth)

    def of_volume(self) -> VolumeLoss:
        """Collect the sums that Dice is made of."""
        from flareseg.learning.losses.soft_dice import SoftDiceOfVolume

        return SoftDiceOfVolume(0.0, self.smooth)


class DiceCE(Loss):
    """Soft Dice over the batch with binary cross-entropy, each label by itself (sigmoid)."""

    name: Literal["dice_ce"] = "dice_ce"
    ce_weight: Annotated[float, Field(gt=0)] = 1.0
    """Weight of the cross-entropy beside the Dice loss."""

    def build(self) -> Callable[[Tensor, Tensor], Tensor]:
        """Build it."""
        from flareseg.learning.losses.soft_dice import SoftDice

        return SoftDice(self.ce_weight)

    def of_volume(self) -> VolumeLoss:
        """Collect the sums that Dice and cross-entropy are made of."""
        from flareseg.learning.losses.soft_dice import SoftDiceOfVolume

        return SoftDiceOfVolume(self.ce_weight)
