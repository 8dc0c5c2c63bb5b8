"""The closed registry of networks: a name in task.yaml never becomes an import path."""

from __future__ import annotations

from collections.abc import Callable
from fnmatch import fnmatchcase

import torch
from monai.networks.nets import SegResNet, UNet

from flareseg.config.task import Task
from flareseg.errors import SettingsError

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


def local_names(network: torch.nn.Module, task: Task) -> frozenset[str]:
    """Names in the network's state that never leave a site.

    They are what ``local_parameters`` matches and, with ``batch_norm: local``, everything of the batch normalisation
    (FedBN: Li et al., "FedBN: Federated Learning on Non-IID Features via Local Batch Normalization", ICLR 2021).

    Raises:
        SettingsError: a pattern matches nothing, so that what it was meant for would be sent; or all parameters match.
    """
    names = list(network.state_dict())
    local: set[str] = set()
    for pattern in task.local_parameters:
        matched = {name for name in names if fnmatchcase(name, pattern)}
        if not matched:
            raise SettingsError(
                f"task.yaml: local_parameters: {pattern!r} matches nothing in {task.network.name}, whose names are "
                f"such as {names[0]} and {names[-1]}.",
                "Correct the pattern.",
            )
        local |= matched
    if task.network.batch_norm == "local":
        for prefix, module in network.named_modules():
            if isinstance(module, torch.nn.modules.batchnorm._BatchNorm):
                local |= {f"{prefix}.{name}" for name in module.state_dict()}
    if local.issuperset(name for name, _ in network.named_parameters()):
        raise SettingsError(
            "task.yaml: local_parameters: should leave a parameter to be shared, matches all.",
            "Give narrower patterns.",
        )
    return frozenset(local)
