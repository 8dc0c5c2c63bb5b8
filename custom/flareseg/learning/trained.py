"""A model file as a network that is ready to be applied."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError

import flareseg
from flareseg.config.task import Task
from flareseg.errors import ErrorCode, FlaresegError
from flareseg.networks.state import State, build_network, local_names
from flareseg.record.bundle_file import load_bundle
from flareseg.record.model_file import load_model


@dataclass(frozen=True)
class Trained:
    """A trained network and what it was trained for.

    Attributes:
        network: in evaluation mode, on the CPU.
        task: gives labels, modalities, spacing and intensity normalisation.
        about: what else stands in the file: its name in the result, rounds done, the version that wrote it.
    """

    network: torch.nn.Module
    task: Task
    about: dict[str, Any]


def load_trained(path: Path) -> Trained:
    """Read a model file of a job's result, or the folder of a bundle that flareseg exported; nothing is executed.

    Raises:
        FlaresegError: the file is no model of flareseg, is encrypted, holds a task of another version, or lacks
            parameters that stay at the sites.
    """
    state, about = load_bundle(path) if path.is_dir() else load_model(path)
    task = task_of_model(path, about)
    return Trained(network_of(path, state, task), task, about)


def task_of_model(path: Path, about: dict[str, Any]) -> Task:
    """The task that a model was trained for.

    Raises:
        FlaresegError: the task is not one that this version reads.
    """
    try:
        return Task.model_validate(about["task"])
    except (KeyError, TypeError, ValidationError):
        raise _unusable(
            path,
            f"its task is not one that flareseg {flareseg.__version__} reads.",
            f"It was written by flareseg {about.get('flareseg', 'of an unknown version')}: use that one.",
        ) from None


def network_of(path: Path, state: State, task: Task) -> torch.nn.Module:
    """The task's network with weights from a model file, in evaluation mode.

    Raises:
        FlaresegError: the weights are encrypted, of another network, or lack parameters that stay at the sites.
    """
    network = build_network(task)
    if local_names(network, task):
        raise _unusable(
            path,
            f"holds only what the sites share; task {task.name} has parameters that stay at each site.",
            "There is no site report for such a task, and no prediction; read the scores of the run's report.",
        )
    if state and all(value.dtype == torch.uint8 for value in state.values()):
        raise _unusable(
            path,
            "holds ciphertexts, which only sites can read.",
            "Give the copy that the site keeps: models/JOB_ID.pt in its kit.",
        )
    try:
        network.load_state_dict(state)
    except RuntimeError:
        raise _unusable(
            path,
            f"its weights are not those of the network of task {task.name}.",
            "Give a model and the task.yaml of the same job.",
        ) from None
    if not all(bool(torch.isfinite(value).all()) for value in state.values() if value.is_floating_point()):
        raise _unusable(path, "holds weights that are not finite.", "Use an earlier model of the result.")
    return network.eval()


def _unusable(path: Path, problem: str, remedy: str) -> FlaresegError:
    return FlaresegError(f"{path}: {problem}", remedy, code=ErrorCode.BAD_MODEL)


def device_of(wanted: str) -> torch.device:
    """The device of a name; ``auto`` takes CUDA where there is one.

    Raises:
        FlaresegError: there is no such device here.
    """
    if wanted == "auto":
        wanted = "cuda" if torch.cuda.is_available() else "cpu"
    if wanted not in ("cpu", "cuda") or (wanted == "cuda" and not torch.cuda.is_available()):
        raise FlaresegError(
            f"There is no device {wanted!r} here.", "Give cpu, cuda or auto.", code=ErrorCode.BAD_SETTINGS
        )
    return torch.device(wanted)
