"""How large an update may be: a bound that is fixed before the first update of a round arrives."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from statistics import median

import numpy as np

_BLOCK = 1 << 16  # elements widened at a time: a copy of a whole variable would be twice its size


def l2_norm(values: Mapping[str, np.ndarray], names: Iterable[str]) -> float:
    """L2 norm over the named floating-point variables together; those that are missing or of another kind count 0."""
    squares = 0.0
    for name in sorted(names):
        array = values.get(name)
        if array is not None and array.dtype.kind == "f":
            flat = array.reshape(-1)
            for start in range(0, flat.size, _BLOCK):
                block = flat[start : start + _BLOCK].astype(np.float64, copy=False)
                squares += float(block @ block)
    return math.sqrt(squares)


class NormBound:
    """Refuses an update whose norm is far above those of the round before.

    The bound of a round is ``factor`` times the median norm of the updates accepted in the round before, so neither the
    order of arrival nor an update of this round changes it, and a minority of sites cannot raise it. The first round
    has none before it: there it is ``factor`` times the norm of the model that was sent out.

    Args:
        factor: how many times larger an update may be.
    """

    def __init__(self, factor: float) -> None:
        self._factor = factor
        self._accepted: list[float] = []
        self._limit = math.inf

    def open(self, model_norm: float) -> None:
        """Begin a round with the model of this norm."""
        typical = median(self._accepted) if self._accepted else 0.0
        self._limit = self._factor * (typical or model_norm)
        self._accepted = []

    def check(self, norm: float) -> None:
        """Let a norm pass.

        Raises:
            ValueError: it is above the bound.
        """
        if norm > self._limit:
            raise ValueError(
                f"its norm should be at most {self._limit:.3g} ({self._factor:g} times the median of the round before, "
                f"or of the first model), found {norm:.3g}"
            )

    def accepted(self, norm: float) -> None:
        """Note the norm of an update that was accepted."""
        self._accepted.append(norm)

    def state(self) -> list[float]:
        """Norms accepted in the round: all that a resume needs."""
        return sorted(self._accepted)

    def load_state(self, norms: Iterable[float]) -> None:
        """Go on from an earlier :meth:`state`."""
        self._accepted = list(norms)
