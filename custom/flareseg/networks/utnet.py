"""UTNet as FedGS uses it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from flareseg.networks.batch_norm import BatchNormNetwork

if TYPE_CHECKING:
    import torch

LabelKind = Literal["overlapping", "exclusive"]


class UTNet(BatchNormNetwork):
    """UTNet (Gao et al. 2021) as FedGS (arXiv 2408.11701) uses it: convolutions, and attention at low resolution."""

    name: Literal["utnet"] = "utnet"
    labels: LabelKind = "overlapping"
    """A sigmoid for each label, or exclusive: a softmax over the labels and a background (published)."""

    @property
    def divisor(self) -> int:
        """Four poolings."""
        return 16

    def build(self, spatial_dims: int, in_channels: int, out_channels: int) -> torch.nn.Module:
        """Build it."""
        from flareseg.networks.nets import outputs, utnet

        if self.labels == "exclusive":
            return outputs.Exclusive(utnet.UTNet(in_channels, out_channels + 1))
        return utnet.UTNet(in_channels, out_channels)
