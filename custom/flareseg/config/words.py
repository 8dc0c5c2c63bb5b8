"""A task in English, derived from its settings: the one source for the review of a job and the report of a run."""

from __future__ import annotations

from flareseg.config.methods import SmallTarget
from flareseg.config.task import Intensity, Task


def describe_network(task: Task) -> str:
    """Name the network with its settings."""
    return f"{task.network.describe()}, {task.spatial_dims}D."


def describe_optimisation(task: Task) -> str:
    """Name the loss and the optimiser with their settings."""
    return f"Loss {task.loss.describe()}; optimiser {task.optimizer.describe()}."


def describe_augmentation(task: Task) -> str:
    """List the augmentations with their settings."""
    return "; then ".join(item.describe() for item in task.augmentation) or "None: images are trained on as they are."


def describe_fedgs(task: Task) -> str:
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


def describe_training(task: Task) -> str:
    """Say what a site does in a round."""
    training = task.training
    unit = "pixels" if "RGB" in task.modalities else "voxels"
    work = f"{training.steps} steps at every site"
    if training.epochs is not None:
        work = f"{training.epochs} epochs at every site, at most {training.steps} steps"
    more = [
        f" Gradients are clipped to a norm of {training.clip_norm:g}." if training.clip_norm is not None else "",
        f" FedProx: μ {training.proximal:g}." if training.proximal else "",
        f" Neither trained nor sent: {', '.join(task.frozen)}." if task.frozen else "",
    ]
    return (
        f"{training.rounds} rounds of {work}, {training.batch_size} samples of {_sizes(task.patch)} {unit} in a batch, "
        f"{training.foreground:.0%} of them around a label.{''.join(more)}"
    )


def describe_validation(task: Task) -> str:
    """Say when a site scores."""
    every = task.training.validate_every
    return (
        f"The validation cases are scored in {'every round' if every == 1 else f'each {every}th round and the last'}, "
        "the test cases once at the end."
    )


def describe_images(task: Task) -> list[str]:
    """Say how the images of each modality become input."""
    points = [f"{name} images: {_clipped(item)}, then [0, 1]." for name, item in task.modalities.items()]
    if "RGB" in task.modalities:
        size = "kept at their own size" if task.resize is None else f"resized to {_sizes(task.resize)} pixels"
        return [*points, f"Frames {size}."]
    spacing = ", ".join("own" if value is None else f"{value:g}" for value in task.spacing)
    return [*points, f"Resampled to a spacing of {spacing} mm (R, A, S)."]


def describe_aggregation(task: Task, min_clients: int) -> str:
    """Say how the server adds up."""
    settings = task.aggregation
    limit = f"after {settings.round_timeout} s in any case" if settings.round_timeout else "with no other time limit"
    momentum = settings.server_momentum
    rule = {
        "mean": "weighted by their steps",
        "median": "joined by the median of each number",
        "trimmed_mean": f"joined by the mean of each number without the outer {settings.trim or 0:.0%} at either end",
    }[settings.rule]
    clip = f"; updates above {settings.clip:g} times the typical norm are scaled down" if settings.clip else ""
    return (
        f"At least {min_clients} accepted sites in a round, {rule}; then up to "
        f"{settings.wait_after_min} s for the others, {limit}; "
        f"{f'server momentum {momentum:g}' if momentum else 'no server momentum'}{clip}."
    )


def _clipped(item: Intensity) -> str:
    low, high = item.window or item.percentiles or (0.0, 0.0)
    return f"clipped to {low:g} to {high:g}" + ("" if item.window else " percentiles of each image")


def _sizes(values: tuple[int, ...]) -> str:
    return " × ".join(map(str, values))
