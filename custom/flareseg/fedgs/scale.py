"""FedGS scale factor: how much more a batch with small targets counts in the update a site sends."""

from __future__ import annotations

import math

import numpy as np
import torch


def scale_factor(target: torch.Tensor | np.ndarray, *, log_base: float, threshold: float) -> float:
    r"""Scale factor η of a batch, in [1, 3].

    .. math:: \eta = 1 + \frac{2}{B} \sum_i \delta_i, \quad \delta_i = \tanh((\log_l a_i^{-1})^2)
        \text{ where } a_i^{-1} \ge \tau, \text{ else } 0

    with the inverse area :math:`a_i^{-1}` = voxels of image i / voxels of its target (Schutte et al., "FedGS:
    Federated Gradient Scaling for Heterogeneous Medical Image Segmentation", arXiv 2408.11701). Published constants:
    l = 100, τ = 150 for polyps; l = 1000, τ = 1000 for liver tumours. A batch without target has η = 1.

    Args:
        target: one label of a batch, shape (B, 1, \*spatial), of 0 and 1 in any type.
        log_base: l, above 1.
        threshold: τ, the inverse area from which on a target is small; at least 1.

    Raises:
        ValueError: when a value or the shape is out of range.

    Example:
        Of two slices one holds a polyp of 4 x 4 pixels, a 256th of its 64 x 64, the other a large one.

        >>> target = torch.zeros(2, 1, 64, 64)
        >>> target[0, :, 10:14, 10:14] = 1
        >>> target[1, :, 10:50, 10:50] = 1
        >>> round(scale_factor(target, log_base=100, threshold=150), 4)
        1.8957
    """
    return combine(size_deltas(target, log_base=log_base, threshold=threshold))


def size_deltas(target: torch.Tensor | np.ndarray, *, log_base: float, threshold: float) -> np.ndarray:
    r"""The δ of each image of a batch, shape (B,), float64, in [0, 1]: see :func:`scale_factor`.

    Kept apart so that labels with thresholds of their own can be joined (say, by the largest δ of an image) before
    :func:`combine`. On a GPU this waits once for the device.

    Args:
        target: one label of a batch, shape (B, 1, \*spatial), of 0 and 1 in any type.
        log_base: l, above 1.
        threshold: τ, at least 1.

    Raises:
        ValueError: when a value or the shape is out of range.
    """
    if not (math.isfinite(log_base) and log_base > 1):
        raise ValueError(f"log_base should be above 1, got {log_base}.")
    if not (math.isfinite(threshold) and threshold >= 1):
        raise ValueError(f"threshold should be no less than 1, got {threshold}.")
    if target.ndim < 3 or target.shape[1] != 1 or 0 in target.shape:
        raise ValueError(f"target should have shape (B, 1, *spatial) without empty axes, got {tuple(target.shape)}.")
    images = torch.as_tensor(target).detach().flatten(1)
    counts = torch.stack([(images == 1).sum(1), (images == 0).sum(1)]).cpu().numpy()
    voxels = images.shape[1]
    if (counts.sum(0) != voxels).any():
        image = int(np.argmax(counts.sum(0) != voxels))
        raise ValueError(f"target should hold 0 and 1 only, got other values in image {image} of the batch.")
    deltas = [_delta(voxels / count, log_base, threshold) if count else 0.0 for count in counts[0].tolist()]
    return np.array(deltas)


def combine(deltas: np.ndarray) -> float:
    """Scale factor η = 1 + 2·mean(δ) of a batch, from the δ of its images, shape (B,), each in [0, 1]."""
    deltas = np.asarray(deltas, dtype=np.float64)
    if deltas.ndim != 1 or deltas.size == 0 or not ((deltas >= 0) & (deltas <= 1)).all():
        raise ValueError(f"deltas should be one number in [0, 1] for each image, got {deltas}.")
    return 1.0 + 2.0 * float(deltas.mean())


def _delta(inverse_area: float, log_base: float, threshold: float) -> float:
    if inverse_area < threshold:
        return 0.0
    return math.tanh((math.log(inverse_area) / math.log(log_base)) ** 2)
