"""MONAI's SegResNet."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, field_validator

from flareseg.config.choices import Network
from flareseg.networks.unet import Levels

if TYPE_CHECKING:
    import torch

_GROUPS = 8


class SegResNet(Network):
    """MONAI's SegResNet with one block a level and group normalisation."""

    name: Literal["segresnet"] = "segresnet"
    channels: Levels = (16, 32, 64, 128)
    """The first number and how many there are: each level has twice the channels of the one above."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Share of features dropped in training."""

    @field_validator("channels")
    @classmethod
    def _doubling(cls, channels: tuple[int, ...]) -> tuple[int, ...]:
        if channels[0] % _GROUPS:
            raise ValueError(f"the first should be a multiple of {_GROUPS} for group normalisation")
        doubled = tuple(channels[0] << level for level in range(len(channels)))
        if channels != doubled:
            raise ValueError(f"each should be twice the one before: {', '.join(map(str, doubled))}")
        return channels

    @property
    def divisor(self) -> int:
        """One halving between levels."""
        return 1 << (len(self.channels) - 1)

    @property
    def mixes_samples(self) -> bool:
        """Group normalisation does not."""
        return False

    @property
    def stochastic(self) -> bool:
        """Dropout is."""
        return self.dropout > 0

    def build(self, spatial_dims: int, in_channels: int, out_channels: int) -> torch.nn.Module:
        """Build MONAI's network."""
        from monai.networks import nets

        return nets.SegResNet(
            spatial_dims=spatial_dims,
            init_filters=self.channels[0],
            in_channels=in_channels,
            out_channels=out_channels,
            dropout_prob=self.dropout or None,
            norm=("GROUP", {"num_groups": _GROUPS}),
            blocks_down=(1,) * len(self.channels),
            blocks_up=(1,) * (len(self.channels) - 1),
        )
