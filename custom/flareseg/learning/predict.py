"""From a network and a volume to masks."""

from __future__ import annotations

from collections.abc import Callable

import torch
from monai.inferers import sliding_window_inference
from monai.transforms import DivisiblePad

from flareseg.task import Task

_SLICES_AT_ONCE = 16


class Stopped(Exception):  # noqa: N818 - not an error: the caller asked for it
    """Raised out of training or validation once the caller asked to stop."""


def predict_logits(
    network: torch.nn.Module,
    image: torch.Tensor,
    task: Task,
    should_stop: Callable[[], bool] = lambda: False,
) -> torch.Tensor:
    """Apply a network to a whole volume: slice by slice in 2D, by sliding window in 3D.

    Args:
        network: in evaluation mode, on the device of ``image``.
        image: float (C, X, Y, Z) in [0, 1].
        task: gives the dimensions and the patch.
        should_stop: asked before every batch of slices.

    Returns:
        Logits, float32 (L, X, Y, Z).

    Raises:
        Stopped: ``should_stop`` said so.
    """
    if task.spatial_dims == 3:
        return _predict_volume(network, image, task)
    levels = 2 ** (len(task.network.channels) - 1)
    slices = image.permute(3, 0, 1, 2)
    pad = DivisiblePad(k=levels)
    parts = []
    for batch in slices.split(_SLICES_AT_ONCE):
        if should_stop():
            raise Stopped
        padded = torch.stack([torch.as_tensor(pad(item)) for item in batch])
        logits = network(padded).float()
        start = [(padded.shape[2 + axis] - batch.shape[2 + axis]) // 2 for axis in range(2)]
        parts.append(logits[:, :, start[0] : start[0] + batch.shape[2], start[1] : start[1] + batch.shape[3]])
    return torch.cat(parts).permute(1, 2, 3, 0)


def _predict_volume(network: torch.nn.Module, image: torch.Tensor, task: Task) -> torch.Tensor:
    logits = sliding_window_inference(
        image[None], roi_size=task.patch, sw_batch_size=1, predictor=network, overlap=0.25, mode="gaussian"
    )
    return torch.as_tensor(logits)[0].float()
