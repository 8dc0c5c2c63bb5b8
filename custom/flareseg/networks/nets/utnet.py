"""UTNet (Gao et al., MICCAI 2021) in the form in which FedGS uses it: convolutions with attention at low resolution."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

BASE = 32
GRID = 8
"""Keys and values are brought to this many rows and columns."""


class UTNet(nn.Module):
    """Levels of 32, 64, 128, 256 and 512 channels; attention at the three lowest.

    Args:
        in_channels: channels of an image.
        out_channels: channels of the logits.
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        c = [BASE << level for level in range(5)]
        self.stem = nn.Sequential(ConvBlock(in_channels, c[0]), ConvBlock(c[0], c[0]))
        self.down = nn.ModuleList([nn.Sequential(ConvBlock(c[0], c[1]), ConvBlock(c[1], c[1]))])
        for level, blocks, heads in ((2, 1, 2), (3, 2, 4), (4, 4, 8)):
            attention = (Attention(c[level], heads) for _ in range(blocks))
            self.down.append(nn.Sequential(ConvBlock(c[level - 1], c[level]), *attention))
        self.up = nn.ModuleList(
            [AttentionUp(c[4], c[3], 8), AttentionUp(c[3], c[2], 4), ConvUp(c[2], c[1]), ConvUp(c[1], c[0])]
        )
        self.head = nn.Conv2d(c[0], out_channels, 1)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.xavier_normal_(module.weight)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def forward(self, image: Tensor) -> Tensor:
        """Compute logits (B, L, H, W) of images (B, C, H, W), whose sides are multiples of 16."""
        levels = [self.stem(image)]
        for block in self.down:
            levels.append(block(nn.functional.max_pool2d(levels[-1], 2)))
        x = levels.pop()
        for block in self.up:
            x = block(x, levels.pop())
        logits: Tensor = self.head(x)
        return logits


class ConvBlock(nn.Module):
    """Pre-activation residual block of two 3 x 3 convolutions."""

    def __init__(self, into: int, out: int) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.BatchNorm2d(into), nn.ReLU(), nn.Conv2d(into, out, 3, padding=1, bias=False))
        self.second = nn.Sequential(nn.BatchNorm2d(out), nn.ReLU(), nn.Conv2d(out, out, 3, padding=1, bias=False))
        self.shortcut: nn.Module = nn.Identity()
        if into != out:
            self.shortcut = nn.Sequential(nn.BatchNorm2d(into), nn.ReLU(), nn.Conv2d(into, out, 1, bias=False))

    def forward(self, x: Tensor) -> Tensor:
        """Add the two paths."""
        total: Tensor = self.second(self.first(x)) + self.shortcut(x)
        return total


class Attention(nn.Module):
    """Attention of each position to a grid of 8 x 8, then a 1 x 1 convolution, each with a residue."""

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(channels)
        self.qkv = _separable(channels, 3 * channels)
        self.attend = GridAttention(channels, heads)
        self.mix = _mix(channels)

    def forward(self, x: Tensor) -> Tensor:
        """Attend within one level."""
        x = x + self.attend(*self.qkv(self.norm(x)).chunk(3, dim=1))
        return x + self.mix(x)


class AttentionUp(nn.Module):
    """Positions of the skip attend to the level below, which is then joined with the skip."""

    def __init__(self, below: int, channels: int, heads: int) -> None:
        super().__init__()
        self.residue = nn.Conv2d(below, channels, 1)
        self.norm_skip, self.norm_below = nn.BatchNorm2d(channels), nn.BatchNorm2d(below)
        self.q, self.kv = _separable(channels, channels), _separable(below, 2 * channels)
        self.attend = GridAttention(channels, heads)
        self.mix = _mix(channels)
        self.join = ConvBlock(2 * channels, channels)

    def forward(self, below: Tensor, skip: Tensor) -> Tensor:
        """Bring the level below to the size of the skip."""
        key, value = self.kv(self.norm_below(below)).chunk(2, dim=1)
        x = self.attend(self.q(self.norm_skip(skip)), key, value) + _resized(self.residue(below), skip.shape[2:])
        x = x + self.mix(x)
        joined: Tensor = self.join(torch.cat([skip, x], dim=1))
        return joined


class ConvUp(nn.Module):
    """Bilinear upsampling, halved channels, joined with the skip."""

    def __init__(self, below: int, channels: int) -> None:
        super().__init__()
        self.halve = nn.Conv2d(below, channels, 1)
        self.join = nn.Sequential(ConvBlock(2 * channels, channels), ConvBlock(channels, channels))

    def forward(self, below: Tensor, skip: Tensor) -> Tensor:
        """Bring the level below to the size of the skip."""
        x = self.halve(_resized(below, skip.shape[2:]))
        joined: Tensor = self.join(torch.cat([skip, x], dim=1))
        return joined


class GridAttention(nn.Module):
    """Softmax attention of queries at full size to keys and values on a grid, with a relative position bias.

    The bias of a query is that of the grid's cell it falls into, so that one table of 15 x 15 for each head serves
    every image size.
    """

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.bias = nn.Parameter(torch.zeros((2 * GRID - 1) ** 2, heads))
        self.out = _separable(channels, channels)
        at = torch.stack(torch.meshgrid(torch.arange(GRID), torch.arange(GRID), indexing="ij")).flatten(1)
        apart = at[:, :, None] - at[:, None, :] + GRID - 1
        self.register_buffer("index", apart[0] * (2 * GRID - 1) + apart[1], persistent=False)

    def forward(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """Attend: queries (B, C, H, W), keys and values (B, C, h, w) to (B, C, H, W)."""
        batch, channels, height, width = query.shape
        key, value = (_by_head(_resized(x, (GRID, GRID)), self.heads) for x in (key, value))
        query = _by_head(query, self.heads)
        logits = (query @ key.transpose(2, 3) + self._bias(height, width)) * (channels // self.heads) ** -0.5
        attended = logits.softmax(dim=-1) @ value
        out: Tensor = self.out(attended.transpose(2, 3).reshape(batch, channels, height, width))
        return out

    def _bias(self, height: int, width: int) -> Tensor:
        """(heads, H * W, cells)."""
        rows, columns = (torch.arange(size, device=self.bias.device) * GRID // size for size in (height, width))
        index: Tensor = self.get_buffer("index")[(rows[:, None] * GRID + columns).flatten()]
        return self.bias[index].permute(2, 0, 1)


def _separable(into: int, out: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(into, into, 3, padding=1, groups=into, bias=False), nn.Conv2d(into, out, 1, bias=False)
    )


def _mix(channels: int) -> nn.Sequential:
    return nn.Sequential(nn.BatchNorm2d(channels), nn.ReLU(), nn.Conv2d(channels, channels, 1, bias=False))


def _by_head(x: Tensor, heads: int) -> Tensor:
    """(B, C, h, w) to (B, heads, h * w, C / heads)."""
    return x.flatten(2).unflatten(1, (heads, -1)).transpose(2, 3)


def _resized(x: Tensor, size: tuple[int, ...]) -> Tensor:
    if tuple(x.shape[2:]) == tuple(size):
        return x
    return interpolate(x, size=tuple(size), mode="bilinear", align_corners=True)
