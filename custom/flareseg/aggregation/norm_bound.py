"""How large an update may be: a bound that is fixed before the first update of a round arrives."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from statistics import median_low

import numpy as np

FLOOR = 0.01
"""The typical norm is never taken for less than this share of the first model's norm."""
_ENOUGH = 3  # of two sites one is the median
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
                with np.errstate(over="ignore", invalid="ignore"):
                    squares += float(block @ block)
    return math.sqrt(squares)


class NormBound:
    """Refuses an update whose norm is far above what is typical, and clips one that is above it.

    Typical is the lower median of the norms accepted in the round before, where there were three or more: a minority
    of sites can neither raise it above an honest norm nor, with three sites, push it below one. It stays between
    :data:`FLOOR` times and once the norm of the model that the run began with; with fewer norms, as in the first round,
    it is that norm. Neither end moves during a run: a bound that followed the model would grow tenfold a round under
    an attacker who always sends what is just allowed. Nothing that arrives in a round changes its bound.

    Args:
        factor: an update above this many times the typical norm is refused.
        clip: an update above this many times the typical norm counts as one of that length; None clips nothing.
        what: whose norm it is, for the reason of a refusal.
    """

    def __init__(self, factor: float, clip: float | None = None, what: str = "its norm") -> None:
        self._factor, self._clip, self._what = factor, clip, what
        self._accepted: list[float] = []
        self._reference = 0.0
        self._typical = math.inf

    def open(self, model_norm: float) -> None:
        """Begin a round with the model of this norm."""
        self._reference = self._reference or model_norm
        self._typical = self._reference or math.inf
        if len(self._accepted) >= _ENOUGH:
            self._typical = min(max(median_low(self._accepted), FLOOR * self._typical), self._typical)
        self._accepted = []

    @property
    def limit(self) -> float:
        """The largest norm that is accepted in this round."""
        return self._factor * self._typical

    @property
    def clips(self) -> bool:
        """Whether updates are clipped at all."""
        return self._clip is not None

    def check(self, norm: float) -> None:
        """Let a norm pass.

        Raises:
            ValueError: it is above the bound.
        """
        if norm > self.limit:
            raise ValueError(
                f"{self._what} should be at most {self.limit:.3g} ({self._factor:g} times what is typical: the lower "
                f"median of the round before, or the first model's norm), found {norm:.3g}"
            )

    def scale(self, norm: float) -> float:
        """How many times an update of this norm counts: 1, or less where it is clipped."""
        if self._clip is None or not math.isfinite(norm) or norm <= self._clip * self._typical:
            return 1.0
        return self._clip * self._typical / norm

    def accepted(self, norm: float) -> None:
        """Note the norm with which an update was accepted."""
        self._accepted.append(norm * self.scale(norm))

    def state(self) -> np.ndarray:
        """The first model's norm and those accepted in the round, float64: all that a resume needs."""
        return np.array([self._reference, *sorted(self._accepted)])

    def load_state(self, state: np.ndarray) -> None:
        """Go on from an earlier :meth:`state`."""
        self._reference, *self._accepted = state.tolist()
