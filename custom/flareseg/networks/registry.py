"""The closed registry of networks: a name in task.yaml never becomes an import path."""

from __future__ import annotations

from collections.abc import Callable

import torch
from monai.networks.nets import SegResNet, UNet

from flareseg.task import Task

State = dict[str, torch.Tensor]
"""Parameters and buffers of a network by name, as in ``Module.state_dict()``."""


def _norm(task: Task) -> str | tuple[str, dict[str, bool]]:
    return ("instance", {"affine": True}) if task.network.norm == "instance" else "batch"


def _unet(task: Task) -> torch.nn.Module:
    channels = task.network.channels
    return UNet(
        spatial_dims=task.spatial_dims,
        in_channels=task.in_channels,
        out_channels=len(task.labels),
        channels=channels,
        strides=(2,) * (len(channels) - 1),
        num_res_units=1,
        norm=_norm(task),
        dropout=task.network.dropout,
    )


def _segresnet(task: Task) -> torch.nn.Module:
    return SegResNet(
        spatial_dims=task.spatial_dims,
        init_filters=task.network.channels[0],
        in_channels=task.in_channels,
        out_channels=len(task.labels),
        dropout_prob=task.network.dropout or None,
        norm=("GROUP", {"num_groups": 8}),
        blocks_down=(1,) * len(task.network.channels),
        blocks_up=(1,) * (len(task.network.channels) - 1),
    )


_REGISTRY: dict[str, Callable[[Task], torch.nn.Module]] = {
    "unet": _unet,
    "segresnet": _segresnet,
}


def build_network(task: Task) -> torch.nn.Module:
    """Build the task's network with weights drawn from the task's seed.

    The caller's random state is left as it was.

    Returns:
        A network from (B, C, *spatial) float to logits (B, L, *spatial), one channel per label.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(task.training.seed)
        return _REGISTRY[task.network.name](task)


def initial_state(task: Task) -> State:
    """Weights that a federation starts from: the same on every machine with the same PyTorch."""
    return {name: value.detach().clone() for name, value in build_network(task).state_dict().items()}
