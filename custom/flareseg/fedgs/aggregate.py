"""FedGS at the server: the step-weighted mean of what the sites send, applied to the global model."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from flareseg.fedgs.exact import ExactSum, cast

Array = np.ndarray | torch.Tensor


@dataclass(frozen=True)
class Contribution:
    """What one site gives to a round.

    Attributes:
        site: the site's name.
        steps: number of local steps, its weight.
        update: parameter name to G, the scaled sum of steps (global minus local, where η is 1 and nothing decays).
        buffers: buffer name to the site's value at the end of the round (batch-norm statistics).
        scale: mean η of the site's steps.
    """

    site: str
    steps: int
    update: Mapping[str, Array]
    buffers: Mapping[str, Array]
    scale: float = 1.0


def mean_scale(scales: Iterable[tuple[int, float]]) -> float:
    r"""Step-weighted mean η of a round, :math:`\sum_k p_k \bar\eta_k`, the same in whatever order the sites come.

    Dividing the mean update by it leaves FedGS's direction without its larger step.

    Args:
        scales: number of steps and mean η of each site.
    """
    known = list(scales)
    return math.fsum(steps * scale for steps, scale in known) / sum(steps for steps, _ in known)


class ServerMomentum:
    r"""Momentum of the server: :math:`v \leftarrow m v + \sum_k p_k G_k`, to be taken off the global model.

    Args:
        momentum: m, in [0, 1).

    Raises:
        ValueError: when m is out of range.
    """

    def __init__(self, momentum: float) -> None:
        if not 0 <= momentum < 1:
            raise ValueError(f"momentum should be in [0, 1), got {momentum}.")
        self.momentum = momentum
        self._velocity: dict[str, np.ndarray] = {}

    def apply(self, name: str, mean: np.ndarray) -> np.ndarray:
        """Take in the mean update of one parameter, and give its velocity, of the mean's shape and dtype."""
        if not self.momentum:
            return mean
        velocity = mean + self.momentum * self._velocity.get(name, 0.0)
        self._velocity[name] = velocity.astype(np.float32)
        return velocity

    def state(self) -> dict[str, np.ndarray]:
        """Parameter name to velocity, float32: all that a resume needs."""
        return dict(self._velocity)

    def load_state(self, state: Mapping[str, np.ndarray]) -> None:
        """Go on from an earlier :meth:`state`."""
        self._velocity = {name: np.array(velocity, dtype=np.float32) for name, velocity in state.items()}


def aggregate(
    global_state: Mapping[str, Array],
    contributions: Iterable[Contribution],
    momentum: ServerMomentum | None = None,
    *,
    normalize: bool = False,
) -> dict[str, Any]:
    r"""New global state, from the old one and a round's contributions.

    .. math:: p_k = s_k / \sum_j s_j, \qquad w \leftarrow w - \sum_k p_k G_k

    and for buffers the p-weighted mean of the sites' values (Schutte et al., arXiv 2408.11701). With η ≡ 1 and no
    weight decay this is FedAvg weighted by steps. The result is the same, to the last bit, in whatever order
    contributions come. Integer buffers are rounded to the nearest, boolean ones go by majority; each keeps its type.

    Args:
        global_state: name to array or tensor.
        contributions: at least one; all with the same names, each known to the global state. What they leave out
            stays as it was.
        momentum: momentum of the server, kept by the caller between rounds.
        normalize: divide the mean update by the step-weighted mean η, before momentum.

    Returns:
        Name to value, for each name of the global state, as tensor or array as it was there.

    Raises:
        ValueError: when there is no contribution, two are of the same site, or one does not fit (the site is named).
    """
    sites: set[str] = set()
    total: ExactSum | None = None
    parameters: set[str] = set()
    contributions = list(contributions)
    for contribution in contributions:
        site = contribution.site
        try:
            if site in sites:
                raise ValueError("a second contribution in the same round.")
            values = _joined(contribution)
            if total is None:
                parameters = set(contribution.update)
                total = ExactSum(_template(global_state, values), len(contributions))
            elif set(contribution.update) != parameters:
                raise ValueError("other parameters than the sites before.")
            total.add(values, contribution.steps)
        except ValueError as error:
            raise ValueError(f"Contribution of site {site!r} refused: {error}") from error
        sites.add(site)
    if total is None:
        raise ValueError("There should be at least one contribution, got none.")

    state = dict(global_state)
    divisor = mean_scale((item.steps, item.scale) for item in contributions) if normalize else 1.0
    for name, mean in total.drain():
        old = global_state[name]
        if name in parameters:
            mean /= divisor
            step = momentum.apply(name, mean) if momentum else mean
            mean = _numpy(old) - step
        state[name] = _like(mean, old)
    return state


def _joined(contribution: Contribution) -> dict[str, np.ndarray]:
    both = contribution.update.keys() & contribution.buffers.keys()
    if both:
        raise ValueError(f"both parameter and buffer: {', '.join(sorted(both))}.")
    return {name: _numpy(value) for name, value in {**contribution.update, **contribution.buffers}.items()}


def _template(global_state: Mapping[str, Array], names: Iterable[str]) -> dict[str, np.ndarray]:
    unknown = sorted(set(names) - global_state.keys())
    if unknown:
        raise ValueError(f"unknown variables: {', '.join(unknown)}.")
    # In the order of the global state: that of the sites does not matter.
    given = set(names)
    return {name: _numpy(value) for name, value in global_state.items() if name in given}


def _numpy(value: Array) -> np.ndarray:
    if isinstance(value, torch.Tensor):
        value = value.detach().cpu()
        return (value.float() if value.dtype == torch.bfloat16 else value).numpy()
    return np.asarray(value)


def _like(values: np.ndarray, old: Array) -> Array:
    """``values`` in the type, and on the device, of ``old``."""
    if isinstance(old, torch.Tensor):
        return torch.from_numpy(np.asarray(cast(values, _numpy(old).dtype))).to(old.device, old.dtype)
    return np.asarray(cast(values, np.asarray(old).dtype))
