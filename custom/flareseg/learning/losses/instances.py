"""Losses that look at each connected component of the truth, so that a small lesion counts like a large one."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from flareseg.config.choices import Loss
from flareseg.config.settings import Positive

if TYPE_CHECKING:
    from torch import Tensor


class CCDiceCE(Loss):
    """Dice and cross-entropy in the region nearest to each component, averaged over components (arXiv 2511.17146)."""

    name: Literal["cc_dice_ce"] = "cc_dice_ce"
    ce_weight: Annotated[float, Field(ge=0)] = 1.0
    """Weight of the cross-entropy beside the Dice loss."""
    smooth: Positive = 1e-5
    """Added to numerator and denominator of Dice."""

    @property
    def per_sample(self) -> bool:
        """Components are found outside PyTorch."""
        return False

    def build(self) -> Callable[[Tensor, Tensor], Tensor]:
        """Build it."""
        from flareseg.learning.losses.by_component import cc_dice_ce

        return lambda logits, target: cc_dice_ce(logits, target, self.ce_weight, self.smooth)


class Blob(Loss):
    """Dice of the image with Dice of each component, the other components masked out (Kofler et al. 2022)."""

    name: Literal["blob"] = "blob"
    image_weight: Annotated[float, Field(ge=0)] = 2.0
    """Weight α of the whole image's Dice loss."""
    blob_weight: Positive = 1.0
    """Weight β of the mean over components."""
    smooth: Positive = 1e-5
    """Added to numerator and denominator of Dice."""

    @property
    def per_sample(self) -> bool:
        """Components are found outside PyTorch."""
        return False

    def build(self) -> Callable[[Tensor, Tensor], Tensor]:
        """Build it."""
        from flareseg.learning.losses.by_component import blob

        return lambda logits, target: blob(logits, target, self.image_weight, self.blob_weight, self.smooth)
