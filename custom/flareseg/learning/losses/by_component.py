"""The sums of Dice and cross-entropy for each connected component, in one pass over the batch."""

from __future__ import annotations

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from flareseg.data.components import label_components


def cc_dice_ce(logits: Tensor, target: Tensor, ce_weight: float, smooth: float) -> Tensor:
    """Dice and cross-entropy within the region of influence of each component, averaged.

    The region of a component holds the voxels to which it is the nearest (in voxels); an image without the label is
    one region. Regions of one image and label are averaged, then images and labels.

    Args:
        logits: float32 (B, L, *spatial).
        target: float32 (B, L, *spatial) of 0 and 1.
        ce_weight: weight of the cross-entropy.
        smooth: added to numerator and denominator of Dice.
    """
    region, owner = _numbered(target, nearest=True)
    predicted = torch.sigmoid(logits)
    both, found, truth, entropy, voxels = _sums(
        region,
        len(owner),
        predicted * target,
        predicted,
        target,
        binary_cross_entropy_with_logits(logits, target, reduction="none"),
        torch.ones_like(target),
    )
    losses = 1 - (2 * both + smooth) / (found + truth + smooth) + ce_weight * entropy / voxels
    return _mean_over_images(losses, owner, target.shape[0] * target.shape[1])


def blob(logits: Tensor, target: Tensor, image_weight: float, blob_weight: float, smooth: float) -> Tensor:
    """Dice over each image and, for each of its components, over the image without the other components.

    Args:
        logits: float32 (B, L, *spatial).
        target: float32 (B, L, *spatial) of 0 and 1.
        image_weight: weight of the first.
        blob_weight: weight of the second, averaged over components, then over the images and labels that have any.
        smooth: added to numerator and denominator of Dice.
    """
    part, owner = _numbered(target, nearest=False)
    images = target.shape[0] * target.shape[1]
    predicted = torch.sigmoid(logits)
    # Part number i is the background of image i; the components come after.
    both, found, truth = _sums(part, images + len(owner), predicted * target, predicted, target)
    background = found[:images]
    per_image = [
        value[:images] + torch.zeros_like(background).index_add(0, owner, value[images:])
        for value in (both, found, truth)
    ]
    whole = _dice(per_image[0], per_image[1], per_image[2], smooth).mean()
    if not len(owner):
        return image_weight * whole
    each = _dice(both[images:], found[images:] + background[owner], truth[images:], smooth)
    return image_weight * whole + blob_weight * _mean_over_images(each, owner, images)


def _dice(both: Tensor, found: Tensor, truth: Tensor, smooth: float) -> Tensor:
    return 1 - (2 * both + smooth) / (found + truth + smooth)


def _mean_over_images(losses: Tensor, owner: Tensor, images: int) -> Tensor:
    """Average over the parts of each image and label, then over those that have any."""
    count = torch.bincount(owner, minlength=images).to(losses.dtype)
    total = torch.zeros_like(count).index_add(0, owner, losses)
    return (total[count > 0] / count[count > 0]).mean()


def _sums(part: Tensor, parts: int, *values: Tensor) -> list[Tensor]:
    return [value.new_zeros(parts).index_add(0, part, value.flatten()) for value in values]


def _numbered(target: Tensor, *, nearest: bool) -> tuple[Tensor, Tensor]:
    """Give each voxel the number of its part, over the whole batch.

    Args:
        target: (B, L, *spatial) of 0 and 1.
        nearest: every voxel belongs to the nearest component, an image without any being one part; else to its own
            component, or to the background of its image, whose number is the image's, before all components.

    Returns:
        int64 (voxels,) on the target's device, and the image of each component, int64 (components,).
    """
    masks = target.flatten(0, 1).cpu().numpy().astype(np.uint8)
    numbers = np.empty(masks.shape, dtype=np.int64)
    owner: list[int] = []
    first = 0 if nearest else len(masks)
    for image, mask in enumerate(masks):
        parts, voxels = label_components(mask)
        count = len(voxels)
        if nearest and count > 1:
            indices = ndimage.distance_transform_edt(parts == 0, return_distances=False, return_indices=True)
            parts = parts[tuple(indices)]
        start = first + len(owner)
        if nearest:
            numbers[image] = start + (parts.astype(np.int64) - 1 if count > 1 else 0)
            count = max(count, 1)
        else:
            numbers[image] = np.where(parts > 0, start + parts.astype(np.int64) - 1, image)
        owner += [image] * count
    return torch.from_numpy(numbers).flatten().to(target.device), torch.tensor(owner, dtype=torch.int64).to(
        target.device
    )
