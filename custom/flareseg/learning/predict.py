"""From a network and a volume to logits, in parts that fit into memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from monai.inferers import sliding_window_inference
from torch.nn.functional import pad

from flareseg.config.task import Task

_SLICES_AT_ONCE = 16


class Stopped(Exception):  # noqa: N818 - not an error: the caller asked for it
    """Raised out of training or validation once the caller asked to stop."""


def predict_logits(network: torch.nn.Module, image: np.ndarray, task: Task) -> torch.Tensor:
    """Apply a network to a whole volume.

    Args:
        network: in evaluation mode; its device is used.
        image: float32 (C, X, Y, Z) in [0, 1].
        task: gives the dimensions and the patch.

    Returns:
        Logits, float32 (L, X, Y, Z) on the CPU.
    """
    return torch.cat([logits for _, logits in predict_parts(network, image, task)], dim=3)


def predict_parts(
    network: torch.nn.Module,
    image: np.ndarray,
    task: Task,
    should_stop: Callable[[], bool] = lambda: False,
) -> Iterator[tuple[slice, torch.Tensor]]:
    """Apply a network to a volume, slice by slice in 2D, by sliding window in 3D, and give the logits in parts.

    In 2D no more than a part is ever held. In 3D windows overlap: image, logits and their weights are held on the
    CPU, 4 (C + L + 1) bytes a voxel, and one window on the network's device.

    Args:
        network: in evaluation mode; its device is used.
        image: float32 (C, X, Y, Z) in [0, 1].
        task: gives the dimensions and the patch.
        should_stop: asked before every batch of slices, and every window.

    Yields:
        A slice of Z, in order, and its logits, float32 (L, X, Y, z) on the CPU.

    Raises:
        Stopped: ``should_stop`` said so.
    """
    device = next(network.parameters()).device
    parts = [slice(start, start + _SLICES_AT_ONCE) for start in range(0, image.shape[3], _SLICES_AT_ONCE)]
    if task.spatial_dims == 3:
        volume = _predict_volume(network, image, task, device, should_stop)
        for part in parts:
            yield part, volume[..., part].float()
        return
    widths = _divisible(image.shape[1:3], task.network.divisor)
    for part in parts:
        if should_stop():
            raise Stopped
        batch = torch.from_numpy(np.array(np.moveaxis(image[..., part], 3, 0), order="C"))
        left, _, top, _ = widths
        logits = network(pad(batch, widths).to(device)).float().cpu()
        inside = logits[:, :, top : top + batch.shape[2], left : left + batch.shape[3]]
        yield part, inside.permute(1, 2, 3, 0)


def _divisible(shape: Sequence[int], divisor: int) -> list[int]:
    """Zeros around a slice that make its sides divisible, for :func:`torch.nn.functional.pad`: the last axis first."""
    missing = [-size % divisor for size in reversed(shape)]
    return [width for more in missing for width in (more // 2, more - more // 2)]


def _predict_volume(
    network: torch.nn.Module, image: np.ndarray, task: Task, device: torch.device, should_stop: Callable[[], bool]
) -> torch.Tensor:
    def window(patch: torch.Tensor) -> torch.Tensor:
        if should_stop():
            raise Stopped
        return torch.as_tensor(network(patch))

    logits = sliding_window_inference(
        torch.from_numpy(np.array(image[None], order="C")),
        roi_size=task.patch,
        sw_batch_size=1,
        predictor=window,
        overlap=0.25,
        mode="gaussian",
        sw_device=device,
        device=torch.device("cpu"),
    )
    return torch.as_tensor(logits)[0]
