"""Tversky loss."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from flareseg.config.choices import Loss

if TYPE_CHECKING:
    from torch import Tensor


class Tversky(Loss):
    """Tversky loss over the batch (Salehi et al. 2017), each label by itself (sigmoid)."""

    name: Literal["tversky"] = "tversky"
    false_positives: Annotated[float, Field(ge=0)] = 0.3
    """Weight α of false positives; 0.5 and 0.5 are Dice."""
    false_negatives: Annotated[float, Field(ge=0)] = 0.7
    """Weight β of false negatives: above α, missed voxels of small targets count more."""

    def build(self) -> Callable[[Tensor, Tensor], Tensor]:
        """Build MONAI's."""
        from monai.losses import TverskyLoss

        loss: Any = TverskyLoss(sigmoid=True, batch=True, alpha=self.false_positives, beta=self.false_negatives)
        return loss
