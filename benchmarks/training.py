"""A training step of the default network on a batch of the default size, all from jobs/fedgin-fedgs."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from benchmarks.measure import DEFAULT_JOB
from flareseg.config.task import Task
from flareseg.job.folder import load_job
from flareseg.learning.losses.annotated import AnnotatedLoss
from flareseg.networks import build_network


def default_task() -> Task:
    return load_job(DEFAULT_JOB)[1]


def batch(task: Task, *, small: bool) -> tuple[torch.Tensor, np.ndarray]:
    """Images (B, C, *patch) and labels (B, L, *patch) with large targets and, where asked for, a small lesion."""
    generator = torch.Generator().manual_seed(0)
    shape = (task.training.batch_size, task.in_channels, *task.patch)
    labels = np.zeros((shape[0], len(task.labels), *task.patch), dtype=np.uint8)
    half = tuple(slice(size // 4, size // 2) for size in task.patch)
    labels[(slice(None), slice(None), *half)] = 1
    for name in task.fedgs.targets if task.fedgs else ():
        target = labels[:, task.labels.index(name)]
        target[...] = 0
        if small:
            target[(slice(None), *(slice(4, 9) for _ in task.patch))] = 1
    return torch.rand(shape, generator=generator), labels


class Trainer:
    """The default network and optimiser, with a step that can be replaced.

    Args:
        task: the default task.
        small: whether the batch holds small targets.
    """

    def __init__(self, task: Task, *, small: bool = False) -> None:
        self.images, self.labels = batch(task, small=small)
        self.target = torch.from_numpy(self.labels)
        self.network = build_network(task).train()
        self.loss = AnnotatedLoss(task.loss, range(len(task.labels)))
        self.optimizer = torch.optim.AdamW(
            self.network.parameters(), lr=task.optimizer.lr, weight_decay=task.optimizer.weight_decay
        )

    def train(self, step: Callable[[], object] | None = None) -> None:
        """Forward, backward, step."""
        self.optimizer.zero_grad(set_to_none=True)
        self.loss(self.network(self.images), self.target).backward()
        (step or self.optimizer.step)()
