from __future__ import annotations

import math
import tracemalloc
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flareseg.aggregation import ExactSum, ServerMomentum, aggregate, exact_sum
from flareseg.aggregation.norm_bound import l2_norm

TEMPLATE = {
    "weight": np.zeros((3, 2), np.float32),
    "half": np.zeros(4, np.float16),
    "count": np.zeros((), np.int64),
    "flag": np.zeros(2, bool),
}


def mean_of(total: ExactSum, name: str) -> np.ndarray:
    return dict(total.drain())[name]


def values(seed: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {
        "weight": rng.standard_normal((3, 2)).astype(np.float32) * 10.0 ** rng.integers(-8, 3),
        "half": rng.standard_normal(4).astype(np.float16),
        "count": np.int64(rng.integers(0, 1000)),
        "flag": rng.random(2) > 0.5,
    }


@settings(max_examples=30, deadline=None)
@given(weights=st.lists(st.integers(1, 400), min_size=1, max_size=12), data=st.data(), seed=st.integers(0, 1000))
def test_order_does_not_matter_to_the_last_bit(weights: list[int], data: st.DataObject, seed: int) -> None:
    means = []
    for order in (range(len(weights)), data.draw(st.permutations(range(len(weights))))):
        total = ExactSum(TEMPLATE, 16)
        for site in order:
            total.add(values(seed + site), weights[site])
        assert total.weight == sum(weights)
        means.append(dict(total.drain()))
    for name, array in means[0].items():
        assert array.dtype == np.float64
        assert array.shape == TEMPLATE[name].shape
        assert array.tobytes() == means[1][name].tobytes()


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.floats(-8, 8, width=32), st.integers(1, 2**18)), min_size=1, max_size=2))
def test_is_the_mean_of_rational_arithmetic(terms: list[tuple[float, int]]) -> None:
    total = ExactSum({"x": np.zeros(1, np.float64)}, 2)
    for value, weight in terms:
        total.add({"x": np.array([value], np.float32)}, weight)
    weight = sum(w for _, w in terms)
    expected = sum(Fraction(v) * w for v, w in terms) / weight
    assert abs(Fraction(mean_of(total, "x")[0]) - expected) <= Fraction(2, 2**30)


def test_whole_numbers_and_booleans() -> None:
    total = ExactSum(TEMPLATE, 16)
    big = {"weight": TEMPLATE["weight"], "half": TEMPLATE["half"]}
    total.add({**big, "count": np.int64(2**40), "flag": np.array([True, True])}, 2)
    total.add({**big, "count": np.int64(2**40 + 1), "flag": np.array([True, False])}, 1)
    total.add({**big, "count": np.int64(2**40 + 3), "flag": np.array([False, False])}, 1)
    mean = dict(total.drain())
    assert mean["count"] == 2**40 + 1
    assert mean["flag"].tolist() == [0.75, 0.5]


LARGE = np.full((3, 2), 2.0**23, np.float32)
REFUSED = [
    ({"weight": np.full((3, 2), np.nan, np.float32)}, 1, "weight should be finite"),
    ({"half": np.array([0, np.inf, 0, 0], np.float16)}, 1, "half should be finite"),
    ({"weight": np.zeros((2, 3), np.float32)}, 1, r"weight should have shape \(3, 2\), got \(2, 3\)"),
    ({"weight": np.zeros((3, 2), np.int32)}, 1, "weight should be floating-point, got int32"),
    ({"weight": np.zeros((3, 2), np.complex64)}, 1, "weight should be floating-point, got complex64"),
    ({"weight": np.full((3, 2), "a")}, 1, "weight should be floating-point"),
    ({"count": np.float32(1)}, 1, "count should be whole, got float32"),
    ({"weight": LARGE}, 2000, "within 5.36871e.08, got a value of 8.38861e.06 at weight 2000"),
    ({"count": np.int64(2**62)}, 1, "within 2.81475e.14"),
    ({"more": np.zeros(1)}, 1, "unknown: more"),
    ({}, 0, "weight should be a whole number from 1 to 1048576, got 0"),
    ({}, -3, "got -3"),
    ({}, 2**21, "got 2097152"),
    ({}, 1.5, "got 1.5"),
    ({}, True, "got True"),
    ({}, math.nan, "got nan"),
]


@pytest.mark.parametrize(("change", "weight", "message"), REFUSED)
def test_a_refused_contribution_leaves_no_trace(change: dict, weight, message: str) -> None:
    with_refused, without = ExactSum(TEMPLATE, 16), ExactSum(TEMPLATE, 16)
    for total in (with_refused, without):
        total.add(values(0), 3)
    with pytest.raises(ValueError, match=message):
        with_refused.add({**values(1), **change}, weight)
    for total in (with_refused, without):
        total.add(values(2), 4)
    assert with_refused.weight == without.weight
    one, other = dict(with_refused.drain()), dict(without.drain())
    assert all(one[name].tobytes() == other[name].tobytes() for name in TEMPLATE)


FLOATS = st.floats(width=32) | st.sampled_from([np.nan, np.inf, -np.inf, 3e38, 2.0**12, -(2.0**17), 2.0**17 + 1])


@settings(max_examples=100, deadline=None)
@given(
    data=st.data(),
    names=st.sets(st.sampled_from(["weight", "half", "count", "flag", "more"])),
    kind=st.sampled_from([np.float16, np.float32, np.float64, np.int64, bool]),
    shape=st.sampled_from([(), (2,), (4,), (3, 2)]),
    weight=st.one_of(st.integers(-2, 2**21), st.booleans(), st.floats()),
    bound=st.sampled_from([0.0, 1.0, np.inf]),
)
def test_whatever_is_sent_is_added_whole_or_leaves_no_trace(
    data: st.DataObject, names: set[str], kind: type, shape: tuple[int, ...], weight: Any, bound: float
) -> None:
    sent = values(1)
    for name in names:
        with np.errstate(all="ignore"):
            sent[name] = np.full(shape, data.draw(FLOATS)).astype(kind)
    both, without = (ExactSum(TEMPLATE, 16, {"weight"}) for _ in range(2))

    def check(norm: float) -> None:
        if norm > bound:
            raise ValueError("too far")

    for total in (both, without):
        total.add(values(0), 3)
    try:
        norm = both.add(sent, weight, check)
    except ValueError:
        assert both.weight == without.weight
        one, other = dict(both.drain()), dict(without.drain())
        assert all(one[name].tobytes() == other[name].tobytes() for name in TEMPLATE)
    else:
        assert norm == pytest.approx(float(np.linalg.norm(sent["weight"].astype(np.float64))))
        assert both.weight == without.weight + int(weight)
        assert all(np.isfinite(mean).all() for _, mean in both.drain())


def test_the_norm_is_of_what_is_measured_for_any_number_of_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    model = {f"v{i}": rng.standard_normal(300_000).astype(np.float32) for i in range(3)}
    norms = []
    for threads in (1, 2, 3):
        monkeypatch.setattr(exact_sum, "_THREADS", threads)
        norms.append(ExactSum(model, 1, {"v0", "v2"}).add(model, 2))
    assert norms[0] == pytest.approx(l2_norm(model, {"v0", "v2"}))
    assert norms[0] == norms[1] == norms[2]


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e200, 1e308])
def test_values_without_a_norm_are_refused_in_words_alone(bad: float) -> None:
    total = ExactSum({"x": np.zeros(3)}, 2, {"x"})
    with pytest.raises(ValueError, match="x should"):
        total.add({"x": np.array([bad, 1.0, -bad])}, 3)


def test_the_limit_is_that_of_each_value_and_not_of_the_norm() -> None:
    template = {"x": np.zeros(1000, np.float32)}
    full = np.full(1000, np.nextafter(np.float32(2.0**32), np.float32(0)), np.float32)
    total = ExactSum(template, 2)
    total.add({"x": full}, 1)
    with pytest.raises(ValueError, match="x should keep weight times value within"):
        total.add({"x": np.nextafter(full, np.float32(np.inf))}, 1)
    assert (mean_of(total, "x") == full).all()


def test_missing_variable_is_refused() -> None:
    with pytest.raises(ValueError, match="missing: x"):
        ExactSum({"x": np.zeros(1, np.float32)}, 1).add({}, 1)


def test_a_large_contribution_takes_no_room_from_the_others() -> None:
    total = ExactSum({"x": np.zeros(1, np.float32)}, 4)
    share = np.nextafter(np.array([2048.0], np.float32), np.float32(0))
    total.add({"x": share}, 2**20)  # all of its share
    with pytest.raises(ValueError, match=r"x should keep weight times value within 2.14748e.09"):
        total.add({"x": 2 * share}, 2**20)
    for _ in range(3):
        total.add({"x": share}, 2**20)
    assert mean_of(total, "x") == share


@pytest.mark.parametrize(("change", "sites", "steps"), [(50.0, 200, 500), (1000.0, 3, 2000), (2.0**33 / 101, 1, 100)])
def test_honest_changes_of_a_variance_have_room(change: float, sites: int, steps: int) -> None:
    """A batch-norm variance of a site whose images differ: with float64 sums it had none."""
    total = ExactSum({"x": np.zeros(2, np.float32)}, sites)
    sent = np.array([change, -change], np.float32)
    for _ in range(sites):
        total.add({"x": sent}, steps)
    assert (mean_of(total, "x") == sent).all()


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(st.floats(-(2.0**25), 2.0**25), st.sampled_from([1.0, 2.0**-30, 1.5e-9]), st.integers(1, 20)),
        min_size=1,
        max_size=8,
    )
)
def test_the_bits_are_those_of_whole_number_arithmetic(terms: list[tuple[float, float, int]]) -> None:
    """Small and large values take two ways through one sum; both round half to even, once for each contribution."""
    total = ExactSum({"x": np.zeros(1)}, len(terms))
    quanta = 0
    for value, unit, weight in terms:
        sent = np.array([value * unit])
        total.add({"x": sent}, weight)
        quanta += int(np.rint(sent[0] * (weight * 2.0**30)))
    assert mean_of(total, "x")[0] == np.float64(quanta) / (2.0**30 * sum(weight for *_, weight in terms))


def test_scaled_values_count_less_and_buffers_in_full() -> None:
    template = {"w": np.zeros(3, np.float32), "b": np.zeros(2, np.float32)}
    sent = {"w": np.array([3.0, 0.0, 4.0], np.float32), "b": np.array([1.0, 2.0], np.float32)}
    total = ExactSum(template, 2, {"w"})
    assert total.add(sent, 2, scale=0.25) == 5
    with pytest.raises(ValueError, match="scale should be above 0 and at most 1, got 2"):
        total.add(sent, 2, scale=2.0)
    mean = dict(total.drain())
    assert mean["w"].tolist() == [0.75, 0, 1]
    assert mean["b"].tolist() == [1, 2]


def test_more_contributions_than_announced_are_refused() -> None:
    total = ExactSum({"x": np.zeros(1, np.float32)}, 1)
    total.add({"x": np.ones(1, np.float32)}, 1)
    with pytest.raises(ValueError, match="no more contributions"):
        total.add({"x": np.ones(1, np.float32)}, 1)
    with pytest.raises(ValueError, match="at least 1"):
        ExactSum({}, 0)


def test_blocks_and_layouts() -> None:
    rng = np.random.default_rng(0)
    array = rng.standard_normal((300, 500)).astype(np.float32)
    total = ExactSum({"x": array.T, "empty": np.zeros((0, 3))}, 16)
    total.add({"x": array.T, "empty": np.zeros((0, 3))}, 7)
    np.testing.assert_allclose(mean_of(total, "x"), array.T, rtol=1e-6, atol=2**-30)


@pytest.mark.parametrize("sites", [2, 10])
def test_memory_is_two_models_and_the_largest_variable(sites: int) -> None:
    model = {f"v{i}": np.ones(200_000, np.float32) for i in range(20)}
    size = sum(array.nbytes for array in model.values())
    tracemalloc.start()
    total = ExactSum(model, 16)
    for _ in range(sites):
        total.add(model, 5)
    state = aggregate(model, total, {"v3"}, ServerMomentum(0.0))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak <= 2.2 * size + 200_000 * 4
    assert (state["v3"] == 2).all()


@pytest.mark.parametrize("at", [0, 500_000, 999_999])
def test_one_bad_value_in_a_large_variable_is_found(at: int) -> None:
    array = np.ones(1_000_000, np.float32)
    total = ExactSum({"x": array}, 16)
    for bad in (np.nan, np.inf, -np.inf, -1e9):
        array[at] = bad
        with pytest.raises(ValueError, match="x should"):
            total.add({"x": array}, 1)


def test_nothing_to_average() -> None:
    with pytest.raises(ValueError, match="no contribution was added"):
        next(ExactSum(TEMPLATE, 16).drain())
    with pytest.raises(ValueError, match="x should be of a real type, got complex64"):
        ExactSum({"x": np.zeros(1, np.complex64)}, 1)
