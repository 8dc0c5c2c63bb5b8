"""The task's methods in plain words."""

from __future__ import annotations

from flareseg.config.methods import SmallTarget
from flareseg.config.task import Task


def gin_in_words(task: Task) -> str:
    """Say how GIN is set."""
    gin = task.gin
    if gin is None:
        return "Off: images are trained on as they are."
    low, high = gin.mixing
    drawn = {"per_sample": "for each sample", "per_batch": "once for a batch", "per_volume": "for each volume"}
    clean = f" {gin.clean_share:.0%} of each batch stays clean." if gin.clean_share else ""
    return (
        f"On: each sample is changed with probability {gin.probability:g}; random kernels drawn {drawn[gin.kernels]}, "
        f"{gin.layers} layers of {gin.hidden_channels} channels, kernel sizes {_listing(gin.kernel_sizes)}, "
        f"mixing share between {low:g} and {high:g}.{clean}"
    )


def fedgs_in_words(task: Task) -> str:
    """Say how FedGS is set."""
    fedgs = task.fedgs
    if fedgs is None:
        return "Off: every training step counts the same (η = 1)."
    divided = " The mean update is divided by the mean η." if fedgs.normalize == "mean" else ""
    if fedgs.constant is not None:
        return f"Control: every training step counts {fedgs.constant:g} times.{divided}"
    targets = [f"{label} ({_bound(target)})" for label, target in fedgs.targets.items()]
    return (
        f"On: steps whose batch holds a small target count up to three times. Targets: {', '.join(targets)}.{divided}"
    )


def _bound(target: SmallTarget) -> str:
    if target.threshold is not None:
        small = f"small from an inverse area of {target.threshold:g}"
    else:
        unit = "mm²" if target.largest_mm2 is not None else "mm³"
        small = f"small up to {target.largest_mm2 or target.largest_mm3:g} {unit}"
    part = ", of its smallest part" if target.target_size == "smallest_component" else ""
    return f"{small}{part}, logarithm to base {target.log_base:g}"


def training_in_words(task: Task) -> str:
    """Say what a site does in a round."""
    training, optimizer = task.training, task.optimizer
    size = " × ".join(map(str, task.patch))
    return (
        f"{training.rounds} rounds of {training.steps} steps at every site, {training.batch_size} samples of {size} "
        f"voxels in a batch; {optimizer.name} at {optimizer.lr:g}, {optimizer.schedule} schedule."
    )


def network_in_words(task: Task) -> str:
    """Name the network and the loss."""
    network = task.network
    return (
        f"{network.name}, channels {_listing(network.channels)}, {network.norm} norm, {task.spatial_dims}D; "
        f"loss {task.loss.name}."
    )


def aggregation_in_words(task: Task, min_clients: int) -> str:
    """Say how the server adds up."""
    momentum = task.aggregation.server_momentum
    return (
        f"At least {min_clients} accepted sites in a round, weighted by their steps; then up to "
        f"{task.aggregation.wait_after_min} s for the others; "
        f"{f'server momentum {momentum:g}' if momentum else 'no server momentum'}."
    )


def _listing(values: tuple[int, ...]) -> str:
    return ", ".join(map(str, values))
