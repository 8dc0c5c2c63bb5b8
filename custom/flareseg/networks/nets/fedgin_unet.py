"""FedGIN's U-Net (Nagaraju et al., arXiv 2508.05137)."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

CHANNELS = (32, 64, 128, 256)
SLOPE = 0.2


class FedGINUNet(nn.Module):
    """A U-Net whose skips are taken after pooling, so that its logits are made at half the image's size.

    Args:
        in_channels: channels of an image.
        out_channels: channels of the logits.
        dropout: share of features dropped in training, after the second convolution of each block.
    """

    def __init__(self, in_channels: int, out_channels: int, dropout: float) -> None:
        super().__init__()
        widths = (in_channels, *CHANNELS[:-1])
        self.down = nn.ModuleList(_double(into, out, dropout) for into, out in zip(widths, CHANNELS[:-1], strict=False))
        self.bottleneck = _double(CHANNELS[-2], CHANNELS[-1], dropout)
        falling = CHANNELS[::-1]
        self.up = nn.ModuleList(nn.ConvTranspose2d(into, out, 2, stride=2) for into, out in pairwise(falling))
        self.merge = nn.ModuleList(_double(2 * out, out, dropout) for out in falling[1:])
        self.head = nn.Conv2d(CHANNELS[0], out_channels, 1)
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
                nn.init.kaiming_normal_(module.weight, a=SLOPE)

    def forward(self, image: Tensor) -> Tensor:
        """Compute logits (B, L, H, W) of images (B, C, H, W), whose sides are multiples of 8."""
        skips = []
        x = image
        for block in self.down:
            x = nn.functional.max_pool2d(block(x), 2)
            skips.append(x)
        x = self.bottleneck(x)
        for up, merge in zip(self.up, self.merge, strict=True):
            skip = skips.pop()
            x = merge(torch.cat([_resized(up(x), skip), skip], dim=1))
        return _resized(self.head(x), image)


def _double(into: int, out: int, dropout: float) -> nn.Sequential:
    layers: list[nn.Module] = []
    for channels in (into, out):
        layers += [nn.Conv2d(channels, out, 3, padding=1), nn.BatchNorm2d(out), nn.LeakyReLU(SLOPE, inplace=True)]
    return nn.Sequential(*layers, nn.Dropout2d(dropout))


def _resized(x: Tensor, like: Tensor) -> Tensor:
    if x.shape[2:] == like.shape[2:]:
        return x
    return interpolate(x, size=like.shape[2:], mode="bilinear", align_corners=False)
