"""A new aggregator, of an installed package: docs/extending/aggregator.md walks through it."""

from __future__ import annotations

import numpy as np
from nvflare.apis.dxo import DXO, DataKind

from flareseg.flare.server.aggregator import ContributionAggregator, Weights
from flareseg.flare.server.contribution import Contribution


class GeometricMedian(ContributionAggregator):
    """The point with the least sum of distances to all updates, by Weiszfeld (arXiv 1912.13445).

    It holds every update of a round: memory grows with the number of sites.
    """

    def begin_round(self, weights: Weights, sites: int) -> None:
        self._template = weights
        self._updates: dict[str, Weights] = {}

    def add(self, site: str, contribution: Contribution) -> None:
        update = dict(contribution.data)
        for name, value in self._template.items():
            sent = update.get(name)
            if not isinstance(sent, np.ndarray) or sent.shape != value.shape or sent.dtype != value.dtype:
                raise ValueError(f"expected {name} of shape {value.shape} and type {value.dtype}")
            if not np.isfinite(sent).all():
                raise ValueError(f"{name} is not finite")
        if update.keys() != self._template.keys():
            raise ValueError("expected the variables of the model and no others")
        self._updates[site] = update

    def result(self, weights: Weights) -> DXO:
        flat = np.stack(
            [
                np.concatenate([self._updates[site][name].ravel().astype(np.float64) for name in weights])
                for site in sorted(self._updates)  # in a fixed order, not that of arrival
            ]
        )
        median = flat.mean(0)
        for _ in range(20):
            near = 1 / np.maximum(np.linalg.norm(flat - median, axis=1), 1e-12)
            median = near @ flat / near.sum()
        new, start = {}, 0
        for name, value in weights.items():
            change = median[start : start + value.size].reshape(value.shape)
            new[name] = (value + (change if value.dtype.kind == "f" else np.rint(change))).astype(value.dtype)
            start += value.size
        return DXO(DataKind.WEIGHTS, data=new)
