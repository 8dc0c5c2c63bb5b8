"""An example of a network: three convolutions at full resolution."""

from __future__ import annotations

from typing import Annotated, Literal

import torch
from pydantic import Field

from flareseg.config.choices import Network


class Thin(Network):
    """Three convolutions at full resolution."""

    name: Literal["thin"] = "thin"
    width: Annotated[int, Field(ge=1)] = 8
    """Channels between the convolutions."""

    @property
    def divisor(self) -> int:
        """No level below the first: any size will do."""
        return 1

    @property
    def mixes_samples(self) -> bool:
        """Instance normalisation looks at each sample by itself."""
        return False

    def build(self, spatial_dims: int, in_channels: int, out_channels: int) -> torch.nn.Module:
        """Build it."""
        convolution = torch.nn.Conv2d if spatial_dims == 2 else torch.nn.Conv3d
        norm = torch.nn.InstanceNorm2d if spatial_dims == 2 else torch.nn.InstanceNorm3d
        layers: list[torch.nn.Module] = []
        for channels in (in_channels, self.width):
            layers += [convolution(channels, self.width, 3, padding=1), norm(self.width, affine=True), torch.nn.ReLU()]
        return torch.nn.Sequential(*layers, convolution(self.width, out_channels, 1))
