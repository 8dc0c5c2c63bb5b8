"""FedGIN's U-Net."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from flareseg.networks.batch_norm import BatchNormNetwork

if TYPE_CHECKING:
    import torch


class FedGINUNet(BatchNormNetwork):
    """FedGIN's U-Net (arXiv 2508.05137) of 32, 64, 128 and 256 channels, with skips taken after pooling."""

    name: Literal["fedgin_unet"] = "fedgin_unet"
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.3
    """Share of features dropped in training."""

    @property
    def divisor(self) -> int:
        """Three poolings."""
        return 8

    @property
    def stochastic(self) -> bool:
        """Dropout is."""
        return self.dropout > 0

    def build(self, spatial_dims: int, in_channels: int, out_channels: int) -> torch.nn.Module:
        """Build it."""
        from flareseg.networks.nets import fedgin_unet

        return fedgin_unet.FedGINUNet(in_channels, out_channels, self.dropout)
