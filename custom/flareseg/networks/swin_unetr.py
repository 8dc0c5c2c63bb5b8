"""MONAI's Swin UNETR."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from flareseg.config.choices import Network

if TYPE_CHECKING:
    import torch


class SwinUNETR(Network):
    """MONAI's Swin UNETR (Hatamizadeh et al. 2022): a hierarchy of shifted windows, and a convolutional decoder."""

    name: Literal["swin_unetr"] = "swin_unetr"
    features: Annotated[int, Field(ge=12, multiple_of=12)] = 24
    """Features of the first level."""

    @property
    def divisor(self) -> int:
        """Five halvings."""
        return 32

    @property
    def mixes_samples(self) -> bool:
        """Layer and instance normalisation do not."""
        return False

    def build(self, spatial_dims: int, in_channels: int, out_channels: int) -> torch.nn.Module:
        """Build MONAI's network."""
        from monai.networks import nets

        return nets.SwinUNETR(
            in_channels=in_channels,
            out_channels=out_channels,
            feature_size=self.features,
            spatial_dims=spatial_dims,
            norm_name=("instance", {"affine": True}),
        )
