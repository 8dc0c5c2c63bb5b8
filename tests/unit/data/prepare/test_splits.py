"""No patient is in two splits, whatever the sizes, shares, folds and seed."""

from __future__ import annotations

from itertools import chain, pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flareseg.config.settings import settings_of_options
from flareseg.data.datalist import split_counts
from flareseg.data.prepare.splits import STRATA, SplitPlan, balanced_order, split_patients
from flareseg.errors import SettingsError

sizes_of_patients = st.dictionaries(
    st.text("abc0123456789", min_size=1, max_size=4), st.one_of(st.just(0.0), st.floats(0, 90)), min_size=1, max_size=60
)
seeds = st.integers(0, 2**31)


@given(sizes_of_patients, seeds, st.floats(0, 0.45), st.floats(0, 0.45))
def test_each_patient_is_in_one_split(sizes: dict[str, float], seed: int, validation: float, testing: float) -> None:
    splits = split_patients(sizes, SplitPlan(validation=validation, testing=testing, seed=seed))
    assert sorted(patient for part in splits.values() for patient in part) == sorted(sizes)
    assert splits["training"]
    for name, share in (("validation", validation), ("testing", testing)):
        assert bool(splits[name]) == (share > 0 and len(sizes) > 2)


@given(sizes_of_patients, seeds)
def test_the_seed_alone_decides(sizes: dict[str, float], seed: int) -> None:
    backwards = dict(reversed(sizes.items()))
    assert balanced_order(sizes, seed) == balanced_order(backwards, seed)
    many = {f"p{number}": 0.0 for number in range(30)}
    assert balanced_order(many, seed) != balanced_order(many, seed + 1)


@given(sizes_of_patients, seeds, st.integers(2, 6))
def test_folds_partition_all_but_the_test(sizes: dict[str, float], seed: int, folds: int) -> None:
    if len(sizes) < folds + 2:
        return
    parts = [split_patients(sizes, SplitPlan(folds=folds, fold=fold, seed=seed)) for fold in range(1, folds + 1)]
    test = parts[0]["testing"]
    assert all(part["testing"] == test for part in parts)
    validated = [patient for part in parts for patient in part["validation"]]
    assert sorted(validated + test) == sorted(sizes)
    counts = [len(part["validation"]) for part in parts]
    assert max(counts) - min(counts) <= 1
    for part in parts:
        assert sorted(chain.from_iterable(part.values())) == sorted(sizes)


@given(st.integers(0, 40), st.integers(0, 40), seeds, st.floats(0.1, 0.9))
def test_every_stretch_of_the_order_has_its_share_of_each_size(healthy: int, ill: int, seed: int, share: float) -> None:
    sizes = {f"h{number}": 0.0 for number in range(healthy)} | {f"i{number}": 1.0 + number for number in range(ill)}
    order = balanced_order(sizes, seed)
    taken = order[: round(share * len(order))]
    strata = [[f"h{number}" for number in range(healthy)]]
    ends = [round(ill * number / STRATA) for number in range(STRATA + 1)]
    strata += [[f"i{number}" for number in range(*pair)] for pair in pairwise(ends)]
    for stratum in strata:
        # Patients at the borders of size groups may count to either.
        assert abs(len(set(stratum) & set(taken)) - share * len(stratum)) <= 3


def test_random_assignment_would_fail_the_balance() -> None:
    """The balance above means something: of 8 large and 32 small, a fifth holds 1 to 3 large ones, in every draw."""
    sizes = {f"p{number}": 5.0 if number < 30 else 60.0 + number for number in range(40)}
    for seed in range(50):
        test = split_patients(sizes, SplitPlan(seed=seed))["testing"]
        assert 1 <= sum(sizes[patient] > 50 for patient in test) <= 3


@pytest.mark.parametrize(
    ("total", "validation", "testing", "counts"),
    [
        (1, 0.2, 0.2, (0, 0)),
        (2, 0.5, 0.4, (0, 0)),
        (3, 0.2, 0.2, (1, 1)),
        (3, 0.5, 0.4, (1, 1)),
        (10, 0.2, 0.3, (2, 3)),
        (10, 0.0, 0.0, (0, 0)),
        (10, 0.0, 0.9, (0, 8)),
        (100, 0.1, 0.25, (10, 25)),
    ],
)
def test_counts(total: int, validation: float, testing: float, counts: tuple[int, int]) -> None:
    assert split_counts(total, validation, testing) == counts


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"folds": 5}, "give folds and fold together"),
        ({"folds": 5, "fold": 6}, "at most 5"),
        ({"folds": 1, "fold": 1}, "at least 2"),
        ({"validation": 0.6, "testing": 0.4}, "less than 1"),
        ({"seed": -1}, "seed"),
    ],
)
def test_a_plan_that_cannot_be(options: dict[str, Any], words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        settings_of_options(SplitPlan, **options)


def test_more_folds_than_patients() -> None:
    with pytest.raises(ValueError, match="5 folds need as many patients beside the 1 for the test, found 3"):
        split_patients(dict.fromkeys("abcd", 0.0), SplitPlan(folds=5, fold=1))
