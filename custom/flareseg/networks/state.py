"""A task's network, its initial weights, and which of its values stay at a site."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Literal

import torch
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.dropout import _DropoutNd

from flareseg.config.choices import Network
from flareseg.config.task import Task
from flareseg.errors import SettingsError

State = dict[str, torch.Tensor]
"""Parameters and buffers of a network by name, as in ``Module.state_dict()``."""


def build_network(task: Task) -> torch.nn.Module:
    """Build the task's network with weights drawn from the task's seed.

    The caller's random state is left as it was.

    Returns:
        A network from (B, C, *spatial) float to logits (B, L, *spatial), one channel per label.

    Raises:
        SettingsError: the network has layers of which it says that it has none, or parameters under two names.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(task.training.seed)
        network = task.network.build(task.spatial_dims, task.in_channels, len(task.labels))
    _check_description(network, task.network)
    return network


def _check_description(network: torch.nn.Module, said: Network) -> None:
    """A privacy scope believes what a network says of itself: hold it to that."""
    twice = len(list(network.named_parameters(remove_duplicate=False))) - len(list(network.parameters()))
    if twice:
        raise SettingsError(
            f"The network {said.name} has {twice} parameters under a second name, which would travel twice.",
            "Give each parameter one name in the network's modules.",
        )
    modules = list(network.modules())
    found = {
        "mixes_samples": any(isinstance(module, _BatchNorm) for module in modules),
        "stochastic": any(isinstance(module, _DropoutNd) and module.p > 0 for module in modules),
    }
    wrong = [name for name, has in found.items() if has and not getattr(said, name)]
    if wrong:
        raise SettingsError(
            f"The network {said.name} says that {' and '.join(wrong)} is false, and has such layers.",
            "Correct the property in the network's class, which privacy scopes rely on.",
        )


def initial_state(task: Task) -> State:
    """Weights that a federation starts from: the same on every machine with the same PyTorch."""
    return {name: value.detach().clone() for name, value in build_network(task).state_dict().items()}


def local_names(network: torch.nn.Module, task: Task) -> frozenset[str]:
    """Names in the network's state that never leave a site.

    They are what ``local_parameters`` matches and, with ``norm: local_batch``, everything of the batch normalisation
    (FedBN: Li et al., "FedBN: Federated Learning on Non-IID Features via Local Batch Normalization", ICLR 2021).

    Raises:
        SettingsError: a pattern matches nothing, so that what it was meant for would be sent; or all parameters match.
    """
    local = _matched(network, task, "local_parameters")
    if task.network.keeps_batch_norm:
        for prefix, module in network.named_modules():
            if isinstance(module, _BatchNorm):
                local |= {f"{prefix}.{name}" for name in module.state_dict()}
    if local.issuperset(name for name, _ in network.named_parameters()):
        raise SettingsError(
            "task.yaml: local_parameters: should leave a parameter to be shared, matches all.",
            "Give narrower patterns.",
        )
    return frozenset(local)


def frozen_names(network: torch.nn.Module, task: Task) -> frozenset[str]:
    """Names in the network's state that are neither trained nor sent: what ``frozen`` matches.

    Raises:
        SettingsError: a pattern matches nothing, or all parameters match.
    """
    frozen = _matched(network, task, "frozen")
    if frozen.issuperset(name for name, _ in network.named_parameters()):
        raise SettingsError(
            "task.yaml: frozen: should leave a parameter to be trained, matches all.", "Give narrower patterns."
        )
    return frozenset(frozen)


def unsent_names(network: torch.nn.Module, task: Task) -> frozenset[str]:
    """Names in the network's state that no update holds: those that stay at a site, and the frozen ones."""
    return local_names(network, task) | frozen_names(network, task)


def _matched(network: torch.nn.Module, task: Task, key: Literal["local_parameters", "frozen"]) -> set[str]:
    names = list(network.state_dict())
    found: set[str] = set()
    for pattern in getattr(task, key):
        matched = {name for name in names if fnmatchcase(name, pattern)}
        if not matched:
            raise SettingsError(
                f"task.yaml: {key}: {pattern!r} matches nothing in {task.network.name}, whose names are "
                f"such as {names[0]} and {names[-1]}.",
                "Correct the pattern.",
            )
        found |= matched
    return found
