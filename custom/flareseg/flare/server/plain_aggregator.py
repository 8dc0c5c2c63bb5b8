"""The aggregator of updates that the server can read: checked against bounds, joined, added to the model."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from nvflare.apis.dxo import DXO, DataKind

from flareseg.config.task import Task
from flareseg.federation.update_sum import UpdateSum
from flareseg.flare.server.aggregator import ContributionAggregator, Weights
from flareseg.flare.server.contribution import Contribution
from flareseg.record.run import UpdateNotes


class PlainAggregator(ContributionAggregator):
    """Joins the sites' updates as :class:`flareseg.federation.update_sum.UpdateSum` does: FedAvg and FedGS alike."""

    def __init__(self) -> None:
        super().__init__()
        self._updates: UpdateSum

    def begin_run(self, task: Task) -> None:
        """Find out which names are parameters, which are variances, and which never come."""
        self._updates = UpdateSum(task)

    def begin_round(self, weights: Weights, sites: int) -> None:
        """Fix the bounds before the first update arrives."""
        self._updates.begin_round(weights, sites)

    def add(self, site: str, contribution: Contribution) -> None:
        """Add an update to those of the round.

        Raises:
            ValueError: it does not fit the model, is not finite, or too large.
        """
        self._updates.add(site, contribution.data, contribution.steps, contribution.scale)

    def notes(self) -> UpdateNotes:
        """Which updates were clipped, and how each points to the others."""
        return self._updates.notes()

    def result(self, weights: Weights) -> DXO:
        """Give the new global weights."""
        return DXO(DataKind.WEIGHTS, data=self._updates.result(weights))

    def state(self) -> Weights:
        """Velocity by parameter name, and the norms of the updates accepted last."""
        return self._updates.state()

    def load_state(self, state: Mapping[str, np.ndarray]) -> None:
        """Go on from an earlier :meth:`state`."""
        self._updates.load_state(state)
