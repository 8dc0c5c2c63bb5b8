from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from flareseg.aggregation.norm_bound import FLOOR, NormBound, l2_norm


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


def rounds(bound: NormBound, norms: list[list[float]], model: float = 2.0) -> float:
    """Open a round after rounds in which these norms were accepted, and give its bound."""
    for accepted in norms:
        bound.open(model)
        for norm in accepted:
            bound.check(norm)
            bound.accepted(norm)
    bound.open(model)
    return bound.limit


def test_the_first_round_is_bound_by_the_model() -> None:
    bound = NormBound(20)
    assert rounds(bound, []) == 40.0
    bound.check(40.0)
    with pytest.raises(ValueError, match=r"its norm should be at most 40 \(20 times what is typical"):
        bound.check(40.1)


def test_from_three_sites_on_a_round_is_bound_by_the_lower_median_of_the_one_before() -> None:
    assert rounds(NormBound(10), [[0.2, 0.1, 1.5]]) == 10 * 0.2
    assert rounds(NormBound(10), [[0.2, 0.1, 1.5, 1.6]]) == 10 * 0.2


def test_two_sites_cannot_raise_the_bound_round_after_round() -> None:
    """By a median of two it grew tenfold a round: 20, 210, 2110."""
    bound, limits, model = NormBound(20), [], 1.0
    for _ in range(4):
        bound.open(model)
        limits.append(bound.limit)
        bound.check(bound.limit)
        bound.accepted(bound.limit)  # the attacker: all that is allowed
        bound.accepted(0.1)
        model += bound.limit / 2  # and the model grows with it
    assert limits == [20.0] * 4


@pytest.mark.parametrize("sites", [3, 4, 5, 10])
def test_a_minority_can_neither_raise_nor_starve_it(sites: int) -> None:
    few = (sites - 1) // 2
    honest = [0.1] * (sites - few)
    assert rounds(NormBound(20), [[*honest, *[40.0] * few]]) == pytest.approx(2.0)
    assert rounds(NormBound(20), [[*honest, *[0.0] * ((sites - 1) // 2)]]) == pytest.approx(2.0)


def test_even_a_majority_cannot_push_it_out_of_its_limits() -> None:
    """Of honest updates of a hundredth of the model and less none is refused, whoever sends nothing."""
    assert rounds(NormBound(20), [[0.0, 0.0, 0.0, 0.02]]) == 20 * FLOOR * 2.0
    assert rounds(NormBound(20), [[40.0, 40.0, 40.0, 0.02]]) == 20 * 2.0


def test_what_is_above_the_clip_counts_as_one_of_that_length() -> None:
    bound = NormBound(20, clip=2)
    bound.open(3.0)
    assert (bound.scale(6.0), bound.scale(12.0), bound.scale(float("nan"))) == (1.0, 0.5, 1.0)
    for norm in (12.0, 50.0, 60.0):
        bound.accepted(norm)
    bound.open(3.0)
    assert bound.limit == 20 * 3.0  # the clipped norms, 6, are typical, and no more than the model's norm
    assert NormBound(20).scale(1e9) == 1.0


def test_a_resumed_run_goes_on_with_the_same_bound() -> None:
    one, other = NormBound(10), NormBound(10)
    rounds(one, [[0.3, 0.2, 0.1]])
    for norm in (0.5, 0.4, 0.3):
        one.accepted(norm)
    other.load_state(one.state())
    for bound in (one, other):
        bound.open(100.0)
    assert one.limit == other.limit == 4.0
