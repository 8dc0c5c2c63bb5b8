"""A small network that needs no training: it segments what is bright, so that every result is known."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import torch

from flareseg.config.task import Task
from flareseg.learning.trained import Trained
from flareseg.networks.state import initial_state
from flareseg.record.model_file import save_model, to_numpy

AFFINE = np.diag([2.0, 2.0, 5.0, 1.0])
TASK: dict[str, Any] = {
    "name": "bright",
    "labels": ["liver", "lesion"],
    "modalities": {"CT": {"window": [0, 100]}, "MR": {"percentiles": [0, 100]}},
    "patch": [16, 16],
    "lesion": {"label": "lesion", "small_mm": 8},
    "network": {"channels": [4, 8]},
}


class Bright(torch.nn.Module):
    """Logits above zero where the input is above 0.3, and above 0.7."""

    def __init__(self) -> None:
        super().__init__()
        self.thresholds = torch.nn.Parameter(torch.tensor([0.3, 0.7]))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        shape = [1, 2, *[1] * (x.ndim - 2)]
        return 20 * (x.mean(1, keepdim=True) - self.thresholds.view(shape))


def bright_model(**changes: Any) -> Trained:
    return Trained(Bright().eval(), Task.model_validate({**TASK, **changes}), {})


def body(shape: tuple[int, int, int] = (20, 18, 6)) -> np.ndarray:
    """HU: a liver of 50 with two lesions of 90, in air; no side like another."""
    values = np.full(shape, -1000.0, np.float32)
    values[3:12, 4:14, 1:5] = 50
    values[4:6, 5:7, 2] = 90
    values[8:11, 9:12, 2:4] = 90
    return values


def write(path: Path, values: np.ndarray, affine: np.ndarray = AFFINE) -> Path:
    nib.save(nib.Nifti1Image(values, affine), path)
    return path


def write_model(path: Path, **changes: Any) -> Path:
    """A model file of the task as a result holds it, with weights as they were drawn."""
    task = Task.model_validate({**TASK, **changes})
    about = {"name": "best", "rounds_done": 3, "flareseg": "test", "task": task.model_dump(mode="json")}
    save_model(path, to_numpy(initial_state(task)), about)
    return path
