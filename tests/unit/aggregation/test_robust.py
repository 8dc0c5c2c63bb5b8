from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flareseg.aggregation import ServerMomentum, aggregate
from flareseg.aggregation.robust import TrimmedMean

TEMPLATE = {"w": np.zeros((3, 4), np.float32), "n": np.zeros((), np.int64), "empty": np.zeros((0, 2), np.float32)}


def update(seed: int, factor: float = 1.0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {
        "w": (factor * rng.normal(1.0, 0.01, (3, 4))).astype(np.float32),
        "n": np.int64(3),
        "empty": np.zeros((0, 2), np.float32),
    }


def joined(trim: float, updates: list[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    total = TrimmedMean(TEMPLATE, len(updates), {"w"}, trim)
    for number, sent in enumerate(updates):
        total.add(sent, number + 1)
    return dict(total.drain())


@settings(max_examples=20, deadline=None)
@given(order=st.permutations(range(5)), trim=st.sampled_from([0.2, 0.4, TrimmedMean.MEDIAN]))
def test_order_does_not_change_a_bit(order: list[int], trim: float) -> None:
    one = joined(trim, [update(seed) for seed in range(5)])
    other = joined(trim, [update(seed) for seed in order])
    assert all(one[name].tobytes() == other[name].tobytes() for name in TEMPLATE)


@pytest.mark.parametrize("sites", [1, 2, 3, 4, 5, 8])
def test_it_is_the_median(sites: int) -> None:
    updates = [update(seed) for seed in range(sites)]
    want = np.median([sent["w"].astype(np.float64) for sent in updates], axis=0)
    np.testing.assert_allclose(joined(TrimmedMean.MEDIAN, updates)["w"], want, rtol=1e-12)


def test_the_ends_are_cut() -> None:
    updates = [{**update(0), "w": np.full((3, 4), value, np.float32)} for value in (-100, 1, 2, 3, 1000)]
    assert (joined(0.2, updates)["w"] == 2).all()
    assert (joined(0.1, updates)["w"] == np.float64(906) / 5).all()  # a tenth of five sites is none


@pytest.mark.parametrize("trim", [0.34, TrimmedMean.MEDIAN])
@pytest.mark.parametrize("lie", [-15.0, 1e6, 0.0])
def test_one_of_three_sites_hardly_moves_it(trim: float, lie: float) -> None:
    found = joined(trim, [update(0), update(1), update(2, lie)])
    assert np.abs(found["w"] - 1).max() < 0.05
    state = {name: value.copy() for name, value in TEMPLATE.items()}
    total = TrimmedMean(TEMPLATE, 3, {"w"}, trim)
    for seed, factor in enumerate((1.0, 1.0, lie)):
        total.add(update(seed, factor), 1)
    new = aggregate(state, total, {"w"}, ServerMomentum(0.0))
    assert np.abs(new["w"] - 1).max() < 0.05
    assert (new["n"], new["n"].dtype) == (3, np.int64)


def test_stated_steps_count_for_nothing() -> None:
    total = TrimmedMean(TEMPLATE, 3, {"w"}, TrimmedMean.MEDIAN)
    for seed, weight in enumerate((1, 1, 2**20)):
        total.add(update(seed), weight)
    want = joined(TrimmedMean.MEDIAN, [update(seed) for seed in range(3)])
    assert all((value == want[name]).all() for name, value in total.drain())


def test_a_refused_contribution_leaves_no_trace() -> None:
    total = TrimmedMean(TEMPLATE, 2, {"w"}, 0.2)
    total.add(update(0), 1)
    bad = update(1)
    bad["w"][0, 0] = np.nan
    refused = [bad, {**update(1), "more": np.zeros(1)}, {**update(1), "w": np.zeros((4, 3), np.float32)}]
    for sent in refused:
        with pytest.raises(ValueError, match="should"):
            total.add(sent, 1)

    def too_far(norm: float) -> None:
        raise ValueError("too far")

    with pytest.raises(ValueError, match="too far"):
        total.add(update(1), 1, too_far)
    assert total.add(update(1), 1) == pytest.approx(float(np.linalg.norm(update(1)["w"])))
    with pytest.raises(ValueError, match="no more contributions"):
        total.add(update(2), 1)
    assert {name: value.tobytes() for name, value in total.drain()} == {
        name: value.tobytes() for name, value in joined(0.2, [update(0), update(1)]).items()
    }


def test_clipped_updates_are_kept_clipped() -> None:
    total = TrimmedMean(TEMPLATE, 1, {"w"}, TrimmedMean.MEDIAN)
    total.add(update(0), 1, scale=0.5)
    found = dict(total.drain())
    np.testing.assert_allclose(found["w"], update(0)["w"] / 2)
    assert found["n"] == 3


@pytest.mark.parametrize("trim", [-0.1, 0.6])
def test_trim_out_of_range(trim: float) -> None:
    with pytest.raises(ValueError, match=r"trim should be from 0 to 0.5"):
        TrimmedMean(TEMPLATE, 1, {"w"}, trim)
    with pytest.raises(ValueError, match="no contribution was added"):
        next(TrimmedMean(TEMPLATE, 1, {"w"}, 0.2).drain())
