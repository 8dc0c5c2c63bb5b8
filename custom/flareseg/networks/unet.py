"""MONAI's UNet with residual units."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from flareseg.config.choices import Network

if TYPE_CHECKING:
    import torch

Levels = Annotated[tuple[Annotated[int, Field(ge=1)], ...], Field(min_length=2)]


class UNet(Network):
    """MONAI's UNet with one residual unit a level."""

    renamed = {"batch_norm": "part of norm: batch (averaged) or local_batch (stays at each site)"}  # noqa: RUF012

    name: Literal["unet"] = "unet"
    channels: Levels = (16, 32, 64, 128)
    """Channels of each level; each level halves the resolution."""
    norm: Literal["instance", "batch", "local_batch"] = "instance"
    """Normalisation; with local_batch its statistics and affine parameters stay at each site (FedBN)."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Share of features dropped in training."""

    @property
    def divisor(self) -> int:
        """One halving between levels."""
        return 1 << (len(self.channels) - 1)

    @property
    def mixes_samples(self) -> bool:
        """Batch normalisation does."""
        return self.norm != "instance"

    @property
    def stochastic(self) -> bool:
        """Dropout is."""
        return self.dropout > 0

    @property
    def keeps_batch_norm(self) -> bool:
        """Local batch normalisation stays."""
        return self.norm == "local_batch"

    def build(self, spatial_dims: int, in_channels: int, out_channels: int) -> torch.nn.Module:
        """Build MONAI's network."""
        from monai.networks import nets

        return nets.UNet(
            spatial_dims=spatial_dims,
            in_channels=in_channels,
            out_channels=out_channels,
            channels=self.channels,
            strides=(2,) * (len(self.channels) - 1),
            num_res_units=1,
            norm=("instance", {"affine": True}) if self.norm == "instance" else "batch",
            dropout=self.dropout,
        )
