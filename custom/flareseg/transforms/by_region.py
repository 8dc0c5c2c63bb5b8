"""A transform of the whole image, drawn anew for each region of its labels."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor


def by_region(image: Tensor, labels: Tensor, transform: Callable[[Tensor], Tensor]) -> Tensor:
    """Change each label's region, and the background, by a draw of its own, and put them together.

    Where labels overlap, the later one counts: a lesion within its organ.

    Args:
        image: (C, *spatial).
        labels: (L, *spatial) of 0 and 1.
        transform: of a batch (B, C, *spatial), each sample with draws of its own.

    Returns:
        (C, *spatial).
    """
    region = torch.zeros(image.shape[1:], dtype=torch.int64, device=image.device)
    for number, mask in enumerate(labels, start=1):
        region[mask > 0] = number
    present = region.unique()
    changed = transform(image.expand(len(present), *image.shape).contiguous())
    result = image.clone()
    for number, whole in zip(present, changed, strict=True):
        result = torch.where(region == number, whole, result)
    return result
