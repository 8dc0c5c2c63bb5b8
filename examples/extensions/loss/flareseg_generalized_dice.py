"""An example of a loss: one that MONAI has."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from monai.losses import GeneralizedDiceLoss
from torch import Tensor

from flareseg.config.choices import Loss


class GeneralizedDice(Loss):
    """Generalised Dice (Sudre et al. 2017): each label weighs by the inverse of its size."""

    name: Literal["generalized_dice"] = "generalized_dice"
    weight: Literal["square", "simple", "uniform"] = "square"
    """How a label's weight follows from its size."""

    def build(self) -> Callable[[Tensor, Tensor], Tensor]:
        """Build MONAI's, which takes logits and targets of the labels that the site has annotated."""
        return GeneralizedDiceLoss(sigmoid=True, batch=True, w_type=self.weight)
