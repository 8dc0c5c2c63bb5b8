"""What a network may give beside its logits, and logits of exclusive labels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor, nn


class Outputs(NamedTuple):
    """What a network gives in training when its loss needs more than logits."""

    logits: Tensor
    """(B, L, *spatial)."""
    more: Mapping[str, Tensor]
    """By name; of the whole batch."""


class Exclusive(nn.Module):
    """Makes a network of classes and background, of which each voxel has one, into one of logits for each label.

    The sigmoid of a label's logit is its softmax probability among all labels and the background, which is the first
    channel of ``network``: logit of l = x_l - log Σ_{j ≠ l} exp x_j.

    Args:
        network: gives one channel more than there are labels.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor) -> Tensor | Outputs:
        """Compute logits (B, L, *spatial)."""
        outputs = self.network(image)
        if isinstance(outputs, Outputs):
            return Outputs(_one_against_all(outputs.logits), outputs.more)
        return _one_against_all(outputs)


def _one_against_all(x: Tensor) -> Tensor:
    x = x.float()
    channels = range(x.shape[1])
    rest = [torch.logsumexp(x[:, [j for j in channels if j != label]], dim=1) for label in channels[1:]]
    return x[:, 1:] - torch.stack(rest, dim=1)
