"""The aggregator of updates that the server can read: checked against bounds, joined, added to the model."""

from __future__ import annotations

import secrets
from collections.abc import Mapping

import numpy as np
from nvflare.apis.dxo import DXO, DataKind

from flareseg.aggregation import ExactSum, ServerMomentum, aggregate, mean_scale
from flareseg.aggregation.aggregate import Accumulator
from flareseg.aggregation.direction import DirectionSketch
from flareseg.aggregation.norm_bound import NormBound, l2_norm
from flareseg.aggregation.robust import TrimmedMean
from flareseg.aggregation.variances import at_least_zero, check_variances
from flareseg.config.task import Aggregation, Task
from flareseg.flare.server.aggregator import ContributionAggregator, Weights
from flareseg.flare.server.contribution import Contribution
from flareseg.networks import build_network, unsent_names
from flareseg.record.run import UpdateNotes

_BUFFER_ROOM = 100.0
"""Batch statistics begin at 0 and 1 and go where the images are: their first change may be so much larger."""
_VELOCITY = "velocity/"
_NORMS, _BUFFER_NORMS = "norms", "buffer_norms"


class PlainAggregator(ContributionAggregator):
    """Joins the sites' updates by the task's rule, with optional server momentum: FedAvg and FedGS alike.

    The rule is the mean weighted by local steps unless the task says otherwise. An update is then summed on arrival and
    let go, so memory does not grow with the number of sites; the sum is exact, so the order of arrival does not change
    a bit. The middle values of ``rule: median`` and ``trimmed_mean`` hold every update of a round.

    An update is refused above a bound on its norm, of parameters and of buffers apart, or where a variance would fall
    below 0; above ``aggregation.clip`` it is scaled down.
    """

    def __init__(self) -> None:
        super().__init__()
        self._parameters: frozenset[str] = frozenset()
        self._variances: frozenset[str] = frozenset()
        self._unsent: frozenset[str] = frozenset()
        self._normalize = False
        self._settings = Aggregation()
        self._momentum = ServerMomentum(0.0)
        self._bound = self._buffer_bound = NormBound(np.inf)
        self._changes: Accumulator | None = None
        self._sent: Weights = {}
        self._buffers: frozenset[str] = frozenset()
        self._directions = DirectionSketch({}, 1, 0)
        self._clipped: list[str] = []
        self._scales: list[tuple[int, float]] = []  # steps and mean η of each accepted site

    def begin_run(self, task: Task) -> None:
        """Find out which names are parameters, which are variances, and which never come."""
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

    def begin_round(self, weights: Weights, sites: int) -> None:
        """Fix the bounds before the first update arrives."""
        shared = {name: value for name, value in weights.items() if name not in self._unsent}
        self._sent, self._scales, self._clipped = shared, [], []
        self._buffers = frozenset(name for name in shared if name not in self._parameters)
        self._changes = self._accumulator(shared, sites)
        self._bound.open(l2_norm(shared, self._parameters))
        self._buffer_bound.open(_BUFFER_ROOM * l2_norm(shared, self._buffers))
        sizes = {name: value.size for name, value in shared.items() if name in self._parameters}
        # Drawn from nothing that a site knows: who knew the coordinates could be honest in these alone.
        self._directions = DirectionSketch(sizes, sites, secrets.randbits(64))

    def add(self, site: str, contribution: Contribution) -> None:
        """Add an update to those of the round.

        Raises:
            ValueError: it does not fit the model, is not finite, or too large.
        """
        if self._changes is None:
            raise ValueError("the round is closed")
        data, steps = contribution.data, contribution.steps
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
        self._scales.append((steps, contribution.scale))
        if scale < 1:
            self._clipped.append(site)

    def notes(self) -> UpdateNotes:
        """Which updates were clipped, and how each points to the others."""
        return UpdateNotes(clipped=sorted(self._clipped), cosines=self._directions.cosines())

    def result(self, weights: Weights) -> DXO:
        """Give the new global weights."""
        changes, self._changes, self._sent = self._changes, None, {}
        if changes is None:
            raise RuntimeError("a round begins before it ends")
        scale = mean_scale(self._scales) if self._normalize else 1.0
        new = aggregate(weights, changes, self._parameters, self._momentum, scale)
        at_least_zero(new, self._variances)
        return DXO(DataKind.WEIGHTS, data=new)

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

    def _accumulator(self, template: Weights, sites: int) -> Accumulator:
        if self._settings.rule == "mean":
            return ExactSum(template, sites, self._parameters)
        trim = TrimmedMean.MEDIAN if self._settings.trim is None else self._settings.trim
        return TrimmedMean(template, sites, self._parameters, trim)
