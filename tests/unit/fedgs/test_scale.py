from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from flareseg.fedgs import combine, scale_factor, size_deltas


def batch(*counts: int, shape: tuple[int, ...] = (20, 25)) -> np.ndarray:
    """One image for each count of target voxels."""
    images = np.zeros((len(counts), math.prod(shape)), dtype=np.uint8)
    for image, count in zip(images, counts, strict=True):
        image[:count] = 1
    return images.reshape(len(counts), 1, *shape)


def delta(inverse_area: float, log_base: float) -> float:
    return math.tanh(math.log(inverse_area, log_base) ** 2)


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        ((0,), [0]),  # no target
        ((500,), [0]),  # all target
        ((5,), [delta(100, 100)]),  # at the threshold
        ((6,), [0]),  # just above it in size
        ((1, 0, 5, 400), [delta(500, 100), 0, delta(100, 100), 0]),
    ],
)
@pytest.mark.parametrize("convert", [np.asarray, torch.from_numpy, lambda t: torch.from_numpy(t).float(), np.bool_])
def test_deltas(counts, expected, convert) -> None:
    target = convert(batch(*counts))
    assert size_deltas(target, log_base=100, threshold=100) == pytest.approx(expected)
    eta = scale_factor(target, log_base=100, threshold=100)
    assert isinstance(eta, float)
    assert eta == pytest.approx(1 + 2 * sum(expected) / len(expected))


def test_three_dimensions() -> None:
    target = batch(3, shape=(10, 10, 30))
    assert scale_factor(target, log_base=1000, threshold=1000) == pytest.approx(1 + 2 * delta(1000, 1000))


@given(
    counts=st.lists(st.integers(0, 64), min_size=1, max_size=5),
    log_base=st.floats(1.001, 1e6),
    threshold=st.floats(1, 100),
)
def test_stays_between_1_and_3(counts: list[int], log_base: float, threshold: float) -> None:
    eta = scale_factor(batch(*counts, shape=(8, 8)), log_base=log_base, threshold=threshold)
    assert 1 <= eta <= 3
    if not any(counts):
        assert eta == 1


@pytest.mark.parametrize(
    ("target", "setting", "message"),
    [
        (batch(3), {"log_base": 1}, "log_base should be above 1, got 1"),
        (batch(3), {"threshold": 0.5}, "threshold should be no less than 1, got 0.5"),
        (batch(3), {"threshold": math.nan}, "threshold"),
        (batch(3)[:, 0], {}, r"shape \(B, 1, \*spatial\)"),
        (np.zeros((2, 2, 4, 4)), {}, r"got \(2, 2, 4, 4\)"),
        (np.zeros((0, 1, 4, 4)), {}, "empty"),
        (batch(3, 4) * 2, {}, "0 and 1 only, got other values in image 0"),
        (np.full((1, 1, 4, 4), np.nan), {}, "0 and 1 only"),
    ],
)
def test_refuses(target, setting, message) -> None:
    with pytest.raises(ValueError, match=message):
        scale_factor(target, **{"log_base": 100, "threshold": 150, **setting})


@pytest.mark.parametrize("deltas", [[], [[0.5]], [1.5], [math.nan]])
def test_combine_refuses(deltas) -> None:
    with pytest.raises(ValueError, match="deltas should be"):
        combine(np.array(deltas))
