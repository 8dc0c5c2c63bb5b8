"""The weighted mean of what the sites send, applied to the global model."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Protocol

import numpy as np


def mean_scale(scales: Iterable[tuple[int, float]]) -> float:
    r"""Step-weighted mean η of a round, :math:`\sum_k p_k \bar\eta_k`, the same in whatever order the sites come.

    Dividing the mean update by it leaves FedGS's direction without its larger step.

    Args:
        scales: number of steps and mean η of each site.
    """
    known = list(scales)
    return math.fsum(steps * scale for steps, scale in known) / sum(steps for steps, _ in known)


class Accumulator(Protocol):
    """What takes the changes of a round and gives one for each variable: ExactSum, TrimmedMean."""

    def add(
        self, values: Mapping[str, np.ndarray], weight: int, check: Callable[[float], None] = ..., scale: float = ...
    ) -> float:
        """Take one contribution, all of it, or raise ValueError and leave no trace; gives its norm."""
        ...

    def drain(self) -> Iterator[tuple[str, np.ndarray]]:
        """Give the joined change of each variable in turn, float64, and let go of it."""
        ...


class ServerMomentum:
    r"""Momentum of the server: :math:`v \leftarrow m v + \sum_k p_k \Delta_k`, to be added to the global model.

    Args:
        momentum: m, in [0, 1).

    Raises:
        ValueError: when m is out of range.

    Example:
        Of a constant mean change of 1 the velocity approaches 1 / (1 - m).

        >>> momentum = ServerMomentum(0.5)
        >>> for _ in range(3):
        ...     mean = np.ones(1)
        ...     momentum.apply("weight", mean)
        ...     print(mean)
        [1.]
        [1.5]
        [1.75]
    """

    def __init__(self, momentum: float) -> None:
        if not 0 <= momentum < 1:
            raise ValueError(f"momentum should be in [0, 1), got {momentum}.")
        self.momentum = momentum
        self._velocity: dict[str, np.ndarray] = {}

    def apply(self, name: str, mean: np.ndarray) -> None:
        """Turn the mean change of one parameter, float64, into its velocity, in place."""
        if self.momentum:
            mean += self.momentum * self._velocity.get(name, 0.0)
            self._velocity[name] = mean.astype(np.float32)

    def state(self) -> dict[str, np.ndarray]:
        """Parameter name to velocity, float32: all that a resume needs."""
        return dict(self._velocity)

    def load_state(self, state: Mapping[str, np.ndarray]) -> None:
        """Go on from an earlier :meth:`state`."""
        self._velocity = {name: np.array(velocity, dtype=np.float32) for name, velocity in state.items()}


def aggregate(
    global_state: Mapping[str, np.ndarray],
    changes: Accumulator,
    parameters: Collection[str],
    momentum: ServerMomentum,
    scale: float = 1.0,
) -> dict[str, np.ndarray]:
    r"""New global state, from the old one and the sum of a round's contributions.

    .. math:: p_k = s_k / \sum_j s_j, \qquad v \leftarrow m v + \sum_k p_k \Delta_k / \bar\eta,
        \qquad w \leftarrow w + v

    and for buffers the p-weighted mean of their changes, added (Schutte et al., arXiv 2408.11701, whose G is -Δ, which
    has m = 0 and leaves out the mean scale). With η ≡ 1 and no weight decay this is FedAvg weighted by steps. Integer
    buffers are rounded to the nearest, half to even, and boolean ones are true above a half; each keeps its type.

    It works in the memory of the sum, which ends empty: beside it one variable at a time is made anew.

    Args:
        global_state: name to array.
        changes: the sites' changes Δ, new minus old, weighted by their steps s. Variables of the global state that it
            leaves out stay as they were.
        parameters: names of the parameters; the others are buffers.
        momentum: momentum of the server, kept by the caller between rounds.
        scale: the mean η to divide by, see :func:`mean_scale`; 1 for FedGS as published.

    Returns:
        Name to array, for each name of the global state, in its shape and dtype.

    Raises:
        ValueError: when nothing was added to the sum.

    Example:
        >>> state = {"weight": np.array([1.0, 1.0], np.float32)}
        >>> from flareseg.aggregation.exact_sum import ExactSum
        >>> changes = ExactSum(state, contributions=2)
        >>> for steps, change in ((10, [1.0, 0.0]), (30, [0.0, 2.0])):
        ...     _ = changes.add({"weight": np.array(change, np.float32)}, weight=steps)
        >>> aggregate(state, changes, parameters={"weight"}, momentum=ServerMomentum(0.0))
        {'weight': array([1.25, 2.5 ], dtype=float32)}
    """
    state = dict(global_state)
    for name, change in changes.drain():
        old = state[name]
        if name in parameters:
            change /= scale
            momentum.apply(name, change)
        np.add(old, change, out=change)
        state[name] = _cast(change, old.dtype)
    return state


def _cast(values: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Values rounded to a variable's own type."""
    if dtype.kind == "b":
        return np.asarray(values > 0.5)
    if dtype.kind != "f":
        np.rint(values, out=values)
    return values.astype(dtype)
