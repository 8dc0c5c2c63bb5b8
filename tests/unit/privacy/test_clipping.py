"""The bound on an update is exact, and only what is longer changes."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from flareseg.privacy.clipping import clip_update


def norm(update: dict[str, torch.Tensor]) -> float:
    return math.sqrt(sum(float(v.double().square().sum()) for v in update.values() if v.is_floating_point()))


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**31 - 1), st.floats(1e-6, 1e6), st.floats(1e-3, 1e3))
def test_no_update_is_longer_than_the_bound(seed: int, scale: float, bound: float) -> None:
    generator = torch.Generator().manual_seed(seed)
    update = {"weight": scale * torch.randn(30, 7, generator=generator), "running": scale * torch.randn(5)}
    clipped, before = clip_update(update, bound)
    assert before == pytest.approx(norm(update))
    if before <= bound:
        assert all(torch.equal(clipped[name], value) for name, value in update.items())
    else:
        assert norm(clipped) <= bound
        assert norm(clipped) == pytest.approx(bound, rel=1e-5)
        cosine = sum(float((clipped[k].double() * v.double()).sum()) for k, v in update.items()) / bound / before
        assert cosine == pytest.approx(1, abs=1e-5)


def test_counters_neither_count_nor_change() -> None:
    update = {"weight": torch.full((4,), 3.0), "num_batches_tracked": torch.tensor(1000)}
    clipped, before = clip_update(update, 3.0)
    assert before == 6.0
    assert torch.allclose(clipped["weight"], torch.full((4,), 1.5))
    assert clipped["num_batches_tracked"] == 1000


def test_an_update_that_is_not_finite_is_left_for_the_server_to_refuse() -> None:
    update = {"weight": torch.tensor([1.0, math.nan])}
    clipped, before = clip_update(update, 1.0)
    assert math.isnan(before)
    assert torch.isnan(clipped["weight"]).any()
