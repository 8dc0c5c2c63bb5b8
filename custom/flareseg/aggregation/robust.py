"""Middle values in place of the mean: what a minority of sites sends does not move them far.

Yin et al., "Byzantine-Robust Distributed Learning: Towards Optimal Statistical Rates", ICML 2018 (arXiv 1803.01498).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator, Mapping

import numpy as np

from flareseg.aggregation.arrays import fitting
from flareseg.aggregation.norm_bound import l2_norm

_BLOCK = 1 << 16


class TrimmedMean:
    """Mean of each element over the sites, without the largest and smallest values; each site counts once.

    Takes what :class:`~flareseg.aggregation.ExactSum` takes. Values are sorted before they are added, so the bits do
    not depend on the order of arrival.

    **Memory**: every update of a round is held, 4 bytes for each float32 element and site, where the exact sum needs 8
    in all: at 20 sites ten times as much. The price in accuracy: of sites that differ honestly, those at either end,
    such as the only MR site, are cut off like an attacker.

    Args:
        template: name to array; only shapes and dtypes are looked at.
        contributions: how many will come at the most.
        measured: names whose values make up a contribution's norm.
        trim: share of the sites that is cut at each end, below 0.5; :data:`MEDIAN` leaves the middle alone.
    """

    MEDIAN = 0.5

    def __init__(
        self, template: Mapping[str, np.ndarray], contributions: int, measured: Collection[str], trim: float
    ) -> None:
        if not 0 <= trim <= self.MEDIAN:
            raise ValueError(f"trim should be from 0 to {self.MEDIAN}, got {trim}.")
        self._template = {
            name: np.broadcast_to(np.zeros((), array.dtype), array.shape) for name, array in template.items()
        }
        self._left, self._measured, self._trim = contributions, frozenset(measured), trim
        self._updates: list[dict[str, np.ndarray]] = []

    def add(
        self,
        values: Mapping[str, np.ndarray],
        weight: int,
        check: Callable[[float], None] = lambda norm: None,
        scale: float = 1.0,
    ) -> float:
        """Keep one contribution, or nothing where it is refused.

        Args:
            values: name to change, see :meth:`ExactSum.add <flareseg.aggregation.ExactSum.add>`.
            weight: not looked at: a site cannot count for more by stating many steps.
            check: is given the norm, and may refuse the contribution by a ValueError.
            scale: the measured variables count so many times.

        Returns:
            The L2 norm of the measured variables together, before scaling.

        Raises:
            ValueError: a variable does not fit or is not finite, more come than were announced, or ``check`` says so.
        """
        if not self._left:
            raise ValueError("There should be no more contributions than were announced.")
        arrays = fitting(self._template, values)
        for name, array in arrays.items():
            if not np.isfinite(array).all():
                raise ValueError(f"{name} should be finite, got NaN or infinity.")
        norm = l2_norm(arrays, self._measured)
        check(norm)
        kept = {}
        for name, array in arrays.items():
            factor = scale if name in self._measured else 1.0
            kept[name] = array if factor == 1.0 else (array * factor).astype(array.dtype)
        self._updates.append(kept)
        self._left -= 1
        return norm

    def drain(self) -> Iterator[tuple[str, np.ndarray]]:
        """Give the trimmed mean of each variable in turn, float64, freeing its updates.

        Raises:
            ValueError: when nothing was added.
        """
        if not self._updates:
            raise ValueError("There is no mean: no contribution was added.")
        sites = len(self._updates)
        cut = min(math.floor(self._trim * sites), (sites - 1) // 2)
        for name, variable in self._template.items():
            held = [update.pop(name) for update in self._updates]
            mean = np.empty(variable.size)
            for start in range(0, mean.size, _BLOCK):
                at = slice(start, start + _BLOCK)
                columns = np.sort(np.stack([array[at].astype(np.float64) for array in held]), axis=0)
                mean[at] = columns[cut : sites - cut].mean(axis=0)
            yield name, mean.reshape(variable.shape)
