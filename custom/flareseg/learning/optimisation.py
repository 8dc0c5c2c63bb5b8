"""The optimiser of a round at a site: its step size, and what it remembers of earlier rounds."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from flareseg.config.task import Task
from flareseg.data.site_data import LearningData
from flareseg.learning.schedules import Plateau
from flareseg.networks.state import State

_OPTIMIZER, _PLATEAU = "optimizer/", "schedule/plateau"


def is_memory(name: str) -> bool:
    """Whether a name of what stays at a site is of its optimiser or schedule, not of its network."""
    return name.startswith((_OPTIMIZER, _PLATEAU))


class RoundOptimizer:
    """Builds the optimiser of one round, and gives what the next round needs of it.

    Args:
        task: the optimiser, the number of rounds, FedProx's μ and the norm of gradients.
        parameters: those that are trained, by name.
        memory: what an earlier round left; empty at the start.
        round_number: round, from 0.
        validation_loss: the site's own in this round, None where it was not scored.
    """

    def __init__(
        self,
        task: Task,
        parameters: Mapping[str, torch.nn.Parameter],
        memory: State,
        round_number: int,
        validation_loss: float | None,
    ) -> None:
        settings = task.optimizer
        self._proximal, self._clip_norm = task.training.proximal, task.training.clip_norm
        self._keeps = settings.state == "kept"
        self._names = list(parameters)
        self._plateau: Tensor | None = None
        # The product has the order of operations that it had before there were other schedules: the same bits.
        lr = settings.lr * settings.schedule.factor(round_number, task.training.rounds)
        if isinstance(settings.schedule, Plateau):
            before = memory.get(_PLATEAU, torch.tensor([math.inf, 0.0, 1.0], dtype=torch.float64))
            best, waited, factor = (float(value) for value in before)
            after = settings.schedule.reduced((best, waited, factor), settings.lr, validation_loss)
            self._plateau = torch.tensor(after, dtype=torch.float64)
            lr *= after[2]
        if round_number < settings.warmup_rounds:
            lr *= (round_number + 1) / (settings.warmup_rounds + 1)
        self._parameters = list(parameters.values())
        self._start = [value.detach().clone() for value in self._parameters] if self._proximal else []
        self.optimizer = settings.build(self._parameters, lr)
        if self._keeps:
            self._restore(memory)

    def _restore(self, memory: State) -> None:
        content = self.optimizer.state_dict()
        for name, value in memory.items():
            if name.startswith(_OPTIMIZER):
                key, _, parameter = name.removeprefix(_OPTIMIZER).partition("/")
                content["state"].setdefault(self._names.index(parameter), {})[key] = value.clone()
        self.optimizer.load_state_dict(content)

    @torch.no_grad()
    def shape_gradients(self) -> None:
        r"""Add FedProx's part to the gradients of a step, then scale them down to a norm.

        :math:`\nabla (\mu / 2) \|w - w_0\|^2 = \mu (w - w_0)`, with the weights :math:`w_0` that the round began from
        (Li et al., "Federated Optimization in Heterogeneous Networks", MLSys 2020).
        """
        if self._proximal:
            for value, start in zip(self._parameters, self._start, strict=True):
                if value.grad is not None:
                    value.grad.add_(value - start, alpha=self._proximal)
        if self._clip_norm is not None:
            torch.nn.utils.clip_grad_norm_(self._parameters, self._clip_norm)

    def memory(self) -> State:
        """What the next round goes on from, on the CPU."""
        kept: State = {} if self._plateau is None else {_PLATEAU: self._plateau}
        if self._keeps:
            for index, values in self.optimizer.state_dict()["state"].items():
                for key, value in values.items():
                    if isinstance(value, Tensor):
                        kept[f"{_OPTIMIZER}{key}/{self._names[index]}"] = value.detach().cpu().clone()
        return kept


def steps_of_round(task: Task, data: LearningData) -> int:
    """Give the steps of a site in a round: a set number, or whole batches of its slices or volumes."""
    settings = task.training
    if settings.epochs is None:
        return settings.steps
    volumes = data.volumes("training")
    samples = sum(volume.image.shape[3] for volume in volumes) if task.spatial_dims == 2 else len(volumes)
    return min(settings.steps, settings.epochs * max(1, samples // settings.batch_size))
