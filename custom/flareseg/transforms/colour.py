"""Colour of RGB images as torchvision's ColorJitter changes it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

_GREY = (0.299, 0.587, 0.114)


def jitter(image: Tensor, factors: tuple[float, ...], turn: float, order: Sequence[int]) -> Tensor:
    """Change brightness (0), contrast (1), saturation (2) and hue (3) in a given order.

    Args:
        image: (3, H, W) in [0, 1].
        factors: of brightness, contrast and saturation; 1 changes nothing.
        turn: of the hue, as a share of the colour circle.
        order: the numbers of the four changes.

    Returns:
        (3, H, W) in [0, 1].
    """
    brightness, contrast, saturation = factors
    changes: tuple[Callable[[Tensor], Tensor], ...] = (
        lambda x: x * brightness,
        lambda x: torch.lerp(_grey(x).mean().expand_as(x), x, contrast),
        lambda x: torch.lerp(_grey(x).expand_as(x), x, saturation),
        lambda x: _turned(x, turn),
    )
    for number in order:
        image = changes[number](image).clamp(0, 1)
    return image


def _grey(image: Tensor) -> Tensor:
    weights = image.new_tensor(_GREY).view(3, 1, 1)
    return (image * weights).sum(0, keepdim=True)


def _turned(image: Tensor, turn: float) -> Tensor:
    """Turn the hue: from RGB to hue, saturation and value, and back."""
    value, low = image.max(0).values, image.min(0).values
    chroma = value - low
    safe = torch.where(chroma > 0, chroma, torch.ones_like(chroma))
    red, green, blue = (value - image) / safe
    hue = torch.where(image[0] == value, blue - green, torch.where(image[1] == value, 2 + red - blue, 4 + green - red))
    hue = torch.where(chroma > 0, hue / 6 + turn, torch.zeros_like(hue)) % 1
    # The channels of a hue lie a third of the circle apart.
    sector = (hue[None] * 6 + hue.new_tensor([5.0, 3.0, 1.0]).view(3, 1, 1)) % 6
    return value - chroma * torch.minimum(sector, 4 - sector).clamp(0, 1)
