"""From an image to masks on the image's own grid, and how sure the network is of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, combinations

import numpy as np
import torch
from PIL import Image as Picture

from flareseg.data.preprocess import normalize, resample
from flareseg.inference.images import Image
from flareseg.learning.predict import predict_parts
from flareseg.learning.trained import Trained

_SLICES_AT_ONCE = 16


@dataclass(frozen=True)
class Segmentation:
    """What a network makes of an image.

    Attributes:
        masks: bool (L, X, Y, Z), on the grid of the image turned towards R, A, S.
        probabilities: uint8 (L, X, Y, Z), 255 times the probability, where asked for.
        certainty: for each label the soft Dice of its probabilities with its own mask, in [0, 1]: the Dice to be
            expected if probabilities were calibrated; NaN where the mask is empty.
        agreement: for each label the mean Dice between the masks of single flips and the final one; NaN where
            that is empty, None without flips.
    """

    masks: np.ndarray
    probabilities: np.ndarray | None
    certainty: list[float]
    agreement: list[float] | None


@torch.no_grad()
def segment_image(model: Trained, image: Image, *, flips: bool = False, probabilities: bool = False) -> Segmentation:
    """Apply a network to an image.

    The image is brought to the task's grid as in training; logits, not masks, are interpolated back.

    Args:
        model: the network and its task.
        image: what to segment.
        flips: average over the network's logits for the image and its mirror images.
        probabilities: give them too, on the image's grid.
    """
    prepared, matrix = _prepared(model, image)
    views = list(_views(model, prepared, flips))
    logits = torch.stack(views).mean(0) if flips else views[0]
    agreement = None
    if flips:
        pairs = [[_dice(view[label] > 0, logits[label] > 0) for view in views] for label in range(len(logits))]
        agreement = [float(np.mean(several)) for several in pairs]
    certainty = [_certainty(one) for one in logits]
    shape = image.values.shape[1:]
    masks = np.zeros((len(logits), *shape), dtype=bool)
    maps = np.zeros(masks.shape, dtype=np.uint8) if probabilities else None
    for part, own in _on_grid(logits, matrix, shape):
        masks[..., part] = (own > 0).numpy()
        if maps is not None:
            maps[..., part] = (torch.sigmoid(own) * 255).round().to(torch.uint8).numpy()
    return Segmentation(masks, maps, certainty, agreement)


def _prepared(model: Trained, image: Image) -> tuple[np.ndarray, np.ndarray]:
    """Network input, and the matrix that takes indices of the image to indices of it."""
    task = model.task
    if image.modality == "RGB":
        frame, scale = image.values, np.ones(3)
        if task.resize is not None:
            scale[:2] = np.array(task.resize) / frame.shape[1:3]
            pixels = np.ascontiguousarray(frame[..., 0].transpose(2, 1, 0)[::-1, ::-1]).astype(np.uint8)
            resized = Picture.fromarray(pixels).resize(task.resize, Picture.Resampling.BILINEAR)
            frame = np.asarray(resized, dtype=np.float32)[::-1, ::-1].transpose(2, 1, 0)[..., None]
        matrix = np.diag([*scale, 1.0])
        matrix[:3, 3] = (scale - 1) / 2  # pixels are squares: their edges, not their centres, coincide
        return normalize(np.ascontiguousarray(frame), task.modalities["RGB"]), matrix
    pixdim = [float(wanted or own) for wanted, own in zip(task.spacing, image.spacing, strict=True)]
    values, affine = resample(image.values, image.affine, pixdim, "bilinear")
    return normalize(values, task.modalities[image.modality]), np.linalg.inv(affine) @ image.affine


def _views(model: Trained, image: np.ndarray, flips: bool) -> Iterator[torch.Tensor]:
    """Logits (L, X, Y, Z) of the image, then of its mirror images, mirrored back."""
    axes = (1, 2) if model.task.spatial_dims == 2 else (1, 2, 3)
    mirrors = chain.from_iterable(combinations(axes, count) for count in range(len(axes) + 1 if flips else 1))
    for mirror in mirrors:
        seen = np.flip(image, mirror) if mirror else image
        logits = torch.cat([part for _, part in predict_parts(model.network, seen, model.task)], dim=3)
        yield logits.flip(mirror) if mirror else logits


def _on_grid(logits: torch.Tensor, matrix: np.ndarray, shape: tuple[int, ...]) -> Iterator[tuple[slice, torch.Tensor]]:
    """Logits at the voxels of the image, some slices at a time; grids differ by a scale and a shift of each axis."""
    positions = [matrix[axis, axis] * np.arange(size) + matrix[axis, 3] for axis, size in enumerate(shape)]
    for start in range(0, shape[2], _SLICES_AT_ONCE):
        part = slice(start, min(start + _SLICES_AT_ONCE, shape[2]))
        own = _interpolate(logits, positions[2][part], 3)
        own = _interpolate(own, positions[0], 1)
        yield part, _interpolate(own, positions[1], 2)


def _interpolate(values: torch.Tensor, positions: np.ndarray, axis: int) -> torch.Tensor:
    """Linear interpolation along one axis; beyond the ends the last value goes on."""
    last = values.shape[axis] - 1
    positions = np.clip(positions, 0, last)
    low = np.floor(positions + 1e-6).astype(np.int64).clip(0, last)
    share = torch.from_numpy((positions - low).astype(np.float32))
    if not bool((share.abs() > 1e-5).any()):
        exact = len(low) == last + 1 and bool((low == np.arange(last + 1)).all())
        return values if exact else values.index_select(axis, torch.from_numpy(low))
    above = torch.from_numpy(np.minimum(low + 1, last))
    weight = share.view([-1 if number == axis else 1 for number in range(values.ndim)])
    return torch.lerp(values.index_select(axis, torch.from_numpy(low)), values.index_select(axis, above), weight)


def _dice(one: torch.Tensor, other: torch.Tensor) -> float:
    both = int(one.sum()) + int(other.sum())
    return 2 * int((one & other).sum()) / both if both else float("nan")


def _certainty(logits: torch.Tensor) -> float:
    mask = logits > 0
    if not mask.any():
        return float("nan")
    likely = torch.sigmoid(logits.double())
    return float(2 * likely[mask].sum() / (likely.sum() + mask.sum()))
