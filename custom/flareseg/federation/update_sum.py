"""The sum of a round's updates: checked against bounds, joined by the task's rule, added to the model."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any

import numpy as np

from flareseg.aggregation import ExactSum, ServerMomentum, aggregate, mean_scale
from flareseg.aggregation.aggregate import Accumulator
from flareseg.aggregation.direction import DirectionSketch
from flareseg.aggregation.norm_bound import NormBound, l2_norm
from flareseg.aggregation.robust import TrimmedMean
from flareseg.aggregation.variances import at_least_zero, check_variances
from flareseg.config.task import Task
from flareseg.networks import build_network, unsent_names
from flareseg.record.run import UpdateNotes

Weights = dict[str, np.ndarray]
"""Parameters and buffers by name, as they travel."""
_BUFFER_ROOM = 100.0
"""Batch statistics begin at 0 and 1 and go where the images are: their first change may be so much larger."""
_VELOCITY = "velocity/"
_NORMS, _BUFFER_NORMS = "norms", "buffer_norms"


class UpdateSum:
    """Joins the sites' updates by the task's rule, with optional server momentum: FedAvg and FedGS alike.

    The rule is the mean weighted by local steps unless the task says otherwise. An update is then summed on arrival and
    let go, so memory does not grow with the number of sites; the sum is exact, so the order of arrival does not change
    a bit. The middle values of ``rule: median`` and ``trimmed_mean`` hold every update of a round.

    An update is refused above a bound on its norm, of parameters and of buffers apart, or where a variance would fall
    below 0; above ``aggregation.clip`` it is scaled down.

    Args:
        task: says which names are parameters, which are variances, and which never come.

    Example:
        >>> from flareseg.networks import initial_state
        >>> task = Task(
        ...     name="liver",
        ...     labels=["liver"],
        ...     modalities={"CT": {"window": [-160, 240]}},
        ...     patch=[32, 32],
        ...     network={"channels": [4, 8]},
        ... )
        >>> weights = {name: value.numpy() for name, value in initial_state(task).items()}
        >>> updates = UpdateSum(task)
        >>> updates.begin_round(weights, sites=2)
        >>> for site, change, steps in (("a", 0.1, 3), ("b", 0.5, 1)):
        ...     updates.add(site, {name: np.full_like(value, change) for name, value in weights.items()}, steps)
        >>> new = updates.result(weights)
        >>> all(np.allclose(new[name], value + 0.2) for name, value in weights.items())
        True
    """

    def __init__(self, task: Task) -> None:
        network = build_network(task)
        self._unsent = unsent_names(network, task)
        self._parameters = frozenset(name for name, _ in network.named_parameters())
        self._variances = (
            frozenset(name for name in network.state_dict() if name.endswith("running_var")) - self._unsent
        )
        self._normalize = task.fedgs is not None and task.fedgs.normalize == "mean"
        self._settings = task.aggregation
        self._momentum = ServerMomentum(task.aggregation.server_momentum)
        self._bound = NormBound(task.aggregation.largest_norm, task.aggregation.clip)
        self._buffer_bound = NormBound(task.aggregation.largest_norm, what="the norm of its batch statistics")
        self._changes: Accumulator | None = None
        self._sent: Weights = {}
        self._buffers: frozenset[str] = frozenset()
        self._directions = DirectionSketch({}, 1, 0)
        self._clipped: list[str] = []
        self._scales: list[tuple[int, float]] = []  # steps and mean η of each accepted site

    def begin_round(self, weights: Mapping[str, np.ndarray], sites: int) -> None:
        """Forget the round before, and fix the bounds before the first update arrives.

        Args:
            weights: the global model that goes out.
            sites: how many updates will come at the most, at least 1.
        """
        shared = {name: value for name, value in weights.items() if name not in self._unsent}
        self._sent, self._scales, self._clipped = shared, [], []
        self._buffers = frozenset(name for name in shared if name not in self._parameters)
        self._changes = self._accumulator(shared, sites)
        self._bound.open(l2_norm(shared, self._parameters))
        self._buffer_bound.open(_BUFFER_ROOM * l2_norm(shared, self._buffers))
        sizes = {name: value.size for name, value in shared.items() if name in self._parameters}
        # Drawn from nothing that a site knows: who knew the coordinates could be honest in these alone.
        self._directions = DirectionSketch(sizes, sites, secrets.randbits(64))

    def add(self, site: str, data: Mapping[str, Any], steps: int, scale_factor: float = 1.0) -> None:
        """Add an update to those of the round.

        Args:
            site: whose it is.
            data: change of each shared name; the values are looked at here.
            steps: its weight, the site's optimiser steps.
            scale_factor: mean η over these steps.

        Raises:
            ValueError: it does not fit the model, is not finite, or too large.
        """
        if self._changes is None:
            raise ValueError("the round is closed")
        if not all(isinstance(value, np.ndarray | np.generic) for value in data.values()):
            raise ValueError("expected NumPy arrays")
        scale = self._bound.scale(l2_norm(data, self._parameters)) if self._bound.clips else 1.0
        of_buffers = 0.0

        def check(norm: float) -> None:
            nonlocal of_buffers
            self._bound.check(norm)
            check_variances(self._sent, data, self._variances)
            of_buffers = l2_norm(data, self._buffers)
            self._buffer_bound.check(of_buffers)

        norm = self._changes.add(data, steps, check, scale)
        self._bound.accepted(norm)
        self._buffer_bound.accepted(of_buffers)
        self._directions.add(site, data, scale * steps)
        self._scales.append((steps, scale_factor))
        if scale < 1:
            self._clipped.append(site)

    def notes(self) -> UpdateNotes:
        """Which updates were clipped, and how each points to the others."""
        return UpdateNotes(clipped=sorted(self._clipped), cosines=self._directions.cosines())

    def result(self, weights: Mapping[str, np.ndarray]) -> Weights:
        """Close the round and give the new global weights; ``weights``, those that went out, stay as they are."""
        changes, self._changes, self._sent = self._changes, None, {}
        if changes is None:
            raise RuntimeError("a round begins before it ends")
        scale = mean_scale(self._scales) if self._normalize else 1.0
        new = aggregate(weights, changes, self._parameters, self._momentum, scale)
        at_least_zero(new, self._variances)
        return new

    def state(self) -> Weights:
        """Velocity by parameter name, and the norms of the updates accepted last."""
        velocity = {f"{_VELOCITY}{name}": value for name, value in self._momentum.state().items()}
        return {**velocity, _NORMS: self._bound.state(), _BUFFER_NORMS: self._buffer_bound.state()}

    def load_state(self, state: Mapping[str, np.ndarray]) -> None:
        """Go on from an earlier :meth:`state`."""
        velocity = {name: value for name, value in state.items() if name.startswith(_VELOCITY)}
        self._momentum.load_state({name.removeprefix(_VELOCITY): value for name, value in velocity.items()})
        self._bound.load_state(state[_NORMS])
        self._buffer_bound.load_state(state[_BUFFER_NORMS])

    def _accumulator(self, template: Mapping[str, np.ndarray], sites: int) -> Accumulator:
        if self._settings.rule == "mean":
            return ExactSum(template, sites, self._parameters)
        trim = TrimmedMean.MEDIAN if self._settings.trim is None else self._settings.trim
        return TrimmedMean(template, sites, self._parameters, trim)
