from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from flareseg.aggregation.norm_bound import NormBound, l2_norm


def test_l2_norm_over_several_variables() -> None:
    values = {"a": np.array([[3.0]], np.float32), "b": np.float32(4), "c": np.array([100]), "d": np.array([9.0])}
    assert l2_norm(values, {"a", "b", "c", "missing"}) == 5
    assert l2_norm({"a": np.full(4, 1e30, np.float32)}, {"a"}) == pytest.approx(2e30)


def test_l2_norm_copies_no_whole_variable() -> None:
    values = {"a": np.ones(1_000_000, np.float32)}
    tracemalloc.start()
    assert l2_norm(values, {"a"}) == 1000
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2e6


def test_the_first_round_is_bound_by_the_model() -> None:
    bound = NormBound(20)
    bound.open(2.0)
    bound.check(40.0)
    with pytest.raises(ValueError, match="at most 40"):
        bound.check(40.1)


def test_a_round_is_bound_by_the_median_of_the_one_before_and_not_by_its_own() -> None:
    bound = NormBound(10)
    bound.open(1e6)
    for norm in (1.0, 2.0, 1e5):  # one of three far off does not move the median
        bound.check(norm)
        bound.accepted(norm)
    bound.check(1e6)
    bound.open(1e6)
    bound.accepted(1.0)
    bound.check(20.0)
    with pytest.raises(ValueError, match="at most 20"):
        bound.check(21.0)


def test_updates_of_nothing_do_not_shut_the_next_round() -> None:
    bound = NormBound(10)
    bound.open(1.0)
    bound.accepted(0.0)
    bound.open(1.0)
    bound.check(9.0)
