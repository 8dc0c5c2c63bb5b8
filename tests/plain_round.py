"""A round in plain code, of what learners gave: what a federation of the same sites is compared with."""

from __future__ import annotations

from collections.abc import Iterable

from flareseg.aggregation import ExactSum, ServerMomentum, aggregate, mean_scale
from flareseg.config.task import Task
from flareseg.learning.learner import TrainingResult
from flareseg.networks.state import State, build_network
from flareseg.record.model_file import to_numpy, to_torch


def plain_round(task: Task, state: State, results: Iterable[TrainingResult], momentum: ServerMomentum) -> State:
    """Global weights after the round of these results."""
    results = list(results)
    weights = to_numpy(state)
    parameters = {name for name, _ in build_network(task).named_parameters()}
    shared = results[0].update.keys()
    changes = ExactSum({name: value for name, value in weights.items() if name in shared}, len(results))
    for result in results:
        changes.add(to_numpy(result.update), result.steps)
    normalize = task.fedgs is not None and task.fedgs.normalize == "mean"
    scale = mean_scale((result.steps, result.mean_scale) for result in results) if normalize else 1.0
    return to_torch(aggregate(weights, changes, parameters, momentum, scale))
