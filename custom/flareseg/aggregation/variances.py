"""Batch-norm variances: what no honest site sends, and what rounding leaves."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

_ROUNDING = 1e-6  # of the value before: a difference of two float32 numbers is not exact


def check_variances(weights: Mapping[str, np.ndarray], changes: Mapping[str, np.ndarray], names: Iterable[str]) -> None:
    """Let changes pass that leave every variance at or above 0.

    Args:
        weights: the model that went out.
        changes: a site's changes, of the model's shapes.
        names: the variances.

    Raises:
        ValueError: naming the variable.
    """
    for name in names:
        old = weights[name].astype(np.float64)
        new = old + changes[name]
        if not (new >= -_ROUNDING * np.abs(old)).all():
            raise ValueError(f"{name} should stay at or above 0, got a change to {float(new.min()):.3g}")


def at_least_zero(weights: dict[str, np.ndarray], names: Iterable[str]) -> None:
    """Take off in place what rounding left below 0."""
    for name in names:
        if (weights[name] < 0).any():
            weights[name] = np.maximum(weights[name], 0)
