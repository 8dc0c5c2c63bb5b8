"""Weights between PyTorch and NVFlare's NumPy messages."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from flareseg.errors import ErrorCode, FlaresegError
from flareseg.networks.registry import State


def to_numpy(state: Mapping[str, torch.Tensor]) -> dict[str, np.ndarray]:
    """Share the memory of CPU tensors as arrays; 0-d tensors become 0-d arrays."""
    return {name: value.detach().cpu().numpy() for name, value in state.items()}


def to_torch(state: Mapping[str, np.ndarray]) -> State:
    """Copy arrays into tensors of the same dtype."""
    return {name: torch.from_numpy(np.array(value)) for name, value in state.items()}


def save_model(path: Path, state: Mapping[str, np.ndarray], about: Mapping[str, Any]) -> None:
    """Write weights atomically: the file is either the old or the new one, never half of one.

    Args:
        path: a ``.pt`` file, readable with ``torch.load(path, weights_only=True)``.
        state: weights by name.
        about: plain facts kept beside the weights (task, round, version).
    """
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as stream:
        try:
            torch.save({"model": to_torch(state), "about": json.dumps(about)}, stream)
            stream.flush()
            os.fsync(stream.fileno())
            os.replace(stream.name, path)
        except BaseException:
            os.unlink(stream.name)
            raise


def load_model(path: Path) -> tuple[State, dict[str, Any]]:
    """Read weights and the facts beside them; nothing in the file is executed.

    Raises:
        FlaresegError: the file is missing, damaged, or holds more than weights.
    """
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
        return dict(content["model"]), dict(json.loads(content["about"]))
    except Exception as error:
        reason = " ".join(str(error).split())[:200]
        raise FlaresegError(
            f"{path}: is not a flareseg model ({type(error).__name__}: {reason}).",
            "Use a model file that flareseg wrote.",
            code=ErrorCode.BAD_MODEL,
        ) from None
