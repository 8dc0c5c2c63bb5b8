"""A round in plain code, of what learners gave: what a federation of the same sites is compared with."""

from __future__ import annotations

from collections.abc import Iterable

from flareseg.aggregation import ExactSum, ServerMomentum, aggregate, mean_scale
from flareseg.config.task import Task
from flareseg.learning.learner import TrainingResult
from flareseg.networks.registry import State
from flareseg.record.model_file import to_numpy, to_torch


def plain_round(task: Task, state: State, results: Iterable[TrainingResult], momentum: ServerMomentum) -> State:
    """Global weights after the round of these results."""
    results = list(results)
    weights = to_numpy(state)
    parameters = results[0].update.keys()
    names = parameters | results[0].buffers.keys()
    changes = ExactSum({name: value for name, value in weights.items() if name in names}, len(results))
    for result in results:
        changes.add(to_numpy({name: -total for name, total in result.update.items()} | result.buffers), result.steps)
    normalize = task.fedgs is not None and task.fedgs.normalize == "mean"
    scale = mean_scale((result.steps, result.mean_scale) for result in results) if normalize else 1.0
    return to_torch(aggregate(weights, changes, parameters, momentum, scale))
