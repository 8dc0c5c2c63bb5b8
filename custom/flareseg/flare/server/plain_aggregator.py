"""The aggregator of updates that the server can read: checked against a bound, summed exactly, added to the model."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from nvflare.apis.dxo import DXO, DataKind

from flareseg.aggregation import ExactSum, ServerMomentum, aggregate, mean_scale
from flareseg.aggregation.norm_bound import NormBound, l2_norm
from flareseg.config.task import Task
from flareseg.flare.server.aggregator import ContributionAggregator, Weights
from flareseg.flare.server.contribution import Contribution
from flareseg.networks import build_network, local_names

_VELOCITY = "velocity/"
_NORMS = "norms"


class PlainAggregator(ContributionAggregator):
    """Exact mean of the sites' updates weighted by their local steps, with optional server momentum.

    FedAvg and FedGS alike: FedGS changes what the sites send. A contribution is summed on arrival and let go, so memory
    does not grow with the number of sites; the sum is exact, so the order of arrival does not change a bit.
    """

    def __init__(self) -> None:
        super().__init__()
        self._parameters: frozenset[str] = frozenset()
        self._local: frozenset[str] = frozenset()
        self._normalize = False
        self._momentum = ServerMomentum(0.0)
        self._bound = NormBound(np.inf)
        self._sum: ExactSum | None = None
        self._scales: list[tuple[int, float]] = []  # steps and mean η of each accepted site

    def begin_run(self, task: Task) -> None:
        """Find out which names are parameters, and which never come."""
        network = build_network(task)
        self._local = local_names(network, task)
        self._parameters = frozenset(name for name, _ in network.named_parameters())
        self._normalize = task.fedgs is not None and task.fedgs.normalize == "mean"
        self._momentum = ServerMomentum(task.aggregation.server_momentum)
        self._bound = NormBound(task.aggregation.largest_norm)

    def begin_round(self, weights: Weights, sites: int) -> None:
        """Fix the bound before the first update arrives."""
        shared = {name: value for name, value in weights.items() if name not in self._local}
        self._sum, self._scales = ExactSum(shared, sites, self._parameters), []
        self._bound.open(l2_norm(shared, self._parameters))

    def add(self, site: str, contribution: Contribution) -> None:
        """Add an update to the sum.

        Raises:
            ValueError: it does not fit the model, is not finite, or too large.
        """
        if self._sum is None:
            raise ValueError("the round is closed")
        if not all(isinstance(value, np.ndarray | np.generic) for value in contribution.data.values()):
            raise ValueError("expected NumPy arrays")
        norm = self._sum.add(contribution.data, contribution.steps, self._bound.check)
        self._bound.accepted(norm)
        self._scales.append((contribution.steps, contribution.scale))

    def result(self, weights: Weights) -> DXO:
        """Give the new global weights."""
        total, self._sum = self._sum, None
        if total is None:
            raise RuntimeError("a round begins before it ends")
        scale = mean_scale(self._scales) if self._normalize else 1.0
        return DXO(DataKind.WEIGHTS, data=aggregate(weights, total, self._parameters, self._momentum, scale))

    def state(self) -> Weights:
        """Velocity by parameter name, and the norms of the updates accepted last."""
        velocity = {f"{_VELOCITY}{name}": value for name, value in self._momentum.state().items()}
        return {**velocity, _NORMS: np.array(self._bound.state(), dtype=np.float64)}

    def load_state(self, state: Mapping[str, np.ndarray]) -> None:
        """Go on from an earlier :meth:`state`."""
        velocity = {name: value for name, value in state.items() if name.startswith(_VELOCITY)}
        self._momentum.load_state({name.removeprefix(_VELOCITY): value for name, value in velocity.items()})
        self._bound.load_state(state[_NORMS].tolist())
