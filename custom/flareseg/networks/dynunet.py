"""MONAI's DynUNet, the U-Net of nnU-Net."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, model_validator

from flareseg.config.choices import Network

if TYPE_CHECKING:
    import torch

Steps = Annotated[tuple[Annotated[int, Field(ge=1, le=4)], ...], Field(min_length=2, max_length=3)]


class DynUNet(Network):
    """MONAI's DynUNet, the U-Net of nnU-Net, with instance normalisation."""

    name: Literal["dynunet"] = "dynunet"
    channels: Annotated[tuple[Annotated[int, Field(ge=1)], ...], Field(min_length=3)] = (32, 64, 128, 256)
    """Channels of each level."""
    strides: tuple[Steps, ...] | None = None
    """Step along each axis to each level below the first, such as [[2, 2, 1], [2, 2, 2]]; null halves every axis."""

    @model_validator(mode="after")
    def _one_step_a_level(self) -> DynUNet:
        if self.strides is not None and len(self.strides) != len(self.channels) - 1:
            raise ValueError(f"strides should be {len(self.channels) - 1}, one for each level below the first")
        return self

    @property
    def divisor(self) -> int:
        """The product of the steps along the axis that has most."""
        if self.strides is None:
            return 1 << (len(self.channels) - 1)
        return max(math.prod(steps) for steps in zip(*self.strides, strict=True))

    @property
    def mixes_samples(self) -> bool:
        """Instance normalisation does not."""
        return False

    def check_patch(self, patch: Sequence[int]) -> None:
        """Check each axis by its own steps.

        Raises:
            ValueError: the patch does not fit.
        """
        if self.strides is None:
            super().check_patch(patch)
            return
        if any(len(steps) != len(patch) for steps in self.strides):
            raise ValueError(f"network.strides should have {len(patch)} numbers each, one for each axis of the patch")
        for size, *steps in zip(patch, *self.strides, strict=True):
            if size % math.prod(steps):
                raise ValueError(f"patch should be a multiple of {math.prod(steps)} along the axis of {size} voxels")

    def build(self, spatial_dims: int, in_channels: int, out_channels: int) -> torch.nn.Module:
        """Build MONAI's network; an axis that is not halved has a kernel of 1 until it is, as in nnU-Net."""
        from monai.networks import nets

        below = self.strides or ((2,) * spatial_dims,) * (len(self.channels) - 1)
        strides = [(1,) * spatial_dims, *below]
        kernels = [
            [3 if any(step[axis] > 1 for step in strides[: level + 2]) else 1 for axis in range(spatial_dims)]
            for level in range(len(strides))
        ]
        network = nets.DynUNet(
            spatial_dims=spatial_dims,
            in_channels=in_channels,
            out_channels=out_channels,
            kernel_size=kernels,
            strides=strides,
            upsample_kernel_size=below,
            filters=self.channels,
            norm_name=("INSTANCE", {"affine": True}),
        )
        # Its levels stand in skip_layers too, which forward uses: under two names they would travel twice.
        for name in ("input_block", "downsamples", "bottleneck", "upsamples"):
            delattr(network, name)
        return network
