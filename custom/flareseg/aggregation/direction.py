"""Which site's update points against the others', from a few coordinates of each."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

MOST_NUMBERS = 1 << 16
"""Coordinates kept of an update at the most."""
_FEWEST_NUMBERS = 256
_SHARE = 64  # all sketches together hold a 64th of the model, where that leaves enough of each


class DirectionSketch:
    """The cosine between each site's update and the sum of the others', estimated.

    Of every update the same coordinates are kept, drawn anew in each round. Of k coordinates the estimate errs by about
    1/√k, that is 0.004 to 0.06.

    Args:
        sizes: name of each parameter to its number of elements.
        sites: how many updates will come at the most.
        seed: of the draw.
    """

    def __init__(self, sizes: Mapping[str, int], sites: int, seed: int) -> None:
        total = sum(sizes.values())
        wanted = min(MOST_NUMBERS, max(_FEWEST_NUMBERS, total // (_SHARE * sites)), total)
        drawn = np.sort(np.random.default_rng(seed).integers(total, size=wanted)) if total else np.empty(0, np.int64)
        ends = np.cumsum(list(sizes.values()))
        self._at: dict[str, np.ndarray] = {}
        for name, size, end in zip(sizes, sizes.values(), ends, strict=True):
            low, high = np.searchsorted(drawn, (end - size, end))
            self._at[name] = drawn[low:high] - (end - size)
        self._sketches: dict[str, np.ndarray] = {}

    def add(self, site: str, update: Mapping[str, np.ndarray], weight: float) -> None:
        """Keep the coordinates of an accepted update, times its weight in the sum."""
        parts = [np.asarray(update[name]).reshape(-1)[at] for name, at in self._at.items() if len(at)]
        sketch = np.concatenate(parts) if parts else np.empty(0)
        self._sketches[site] = (sketch * weight).astype(np.float32)

    def cosines(self) -> dict[str, float]:
        """Site to cosine, in [-1, 1]; empty for fewer than three sites, of which none stands against the others."""
        if len(self._sketches) < 3:
            return {}
        sites = sorted(self._sketches)
        rows = np.stack([self._sketches[site] for site in sites]).astype(np.float64)
        total = rows.sum(0)
        cosines = {}
        for site, row in zip(sites, rows, strict=True):
            others = total - row
            length = float(np.linalg.norm(row) * np.linalg.norm(others))
            cosines[site] = float(row @ others) / length if length else 0.0
        return cosines
