"""SD-UTNet of FedGS."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from flareseg.networks.batch_norm import BatchNormNetwork
from flareseg.networks.utnet import LabelKind

if TYPE_CHECKING:
    import torch

Side = Annotated[int, Field(ge=16)]


class SDUTNet(BatchNormNetwork):
    """SD-UTNet of FedGS (arXiv 2408.11701): anatomy factors and a modality code, which make the image again."""

    outputs = frozenset({"image", "reconstruction", "mean", "log_variance", "code", "code_again"})

    name: Literal["sd_utnet"] = "sd_utnet"
    image_size: tuple[Side, Side] = (512, 512)
    """The task's patch: the modality encoder's linear layer fixes the size of training images."""
    labels: LabelKind = "exclusive"
    """A softmax over the labels and a background (published), or overlapping: a sigmoid for each."""

    @property
    def divisor(self) -> int:
        """Four poolings."""
        return 16

    @property
    def stochastic(self) -> bool:
        """The modality code is drawn."""
        return True

    def check_patch(self, patch: Sequence[int]) -> None:
        """Check that the patch is what the network is built for.

        Raises:
            ValueError: it is not.
        """
        super().check_patch(patch)
        if tuple(patch) != self.image_size:
            raise ValueError(f"patch should be network.image_size, {self.image_size[0]} by {self.image_size[1]}")

    def build(self, spatial_dims: int, in_channels: int, out_channels: int) -> torch.nn.Module:
        """Build it."""
        from flareseg.networks.nets import outputs, sd_utnet

        if self.labels == "exclusive":
            return outputs.Exclusive(sd_utnet.SDUTNet(in_channels, out_channels + 1, self.image_size))
        return sd_utnet.SDUTNet(in_channels, out_channels, self.image_size)
