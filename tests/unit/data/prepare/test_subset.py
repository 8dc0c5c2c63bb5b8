"""Limited data: whole patients, nested subsets, and the ratio that was asked for."""

from __future__ import annotations

from itertools import chain

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flareseg.config.settings import settings_of_options
from flareseg.config.task import Modality
from flareseg.data.prepare.subset import Subset, take
from flareseg.errors import SettingsError

BOTH: dict[str, Modality] = {"ct": "CT", "mr": "MR"}
counts_of_patients = st.lists(st.integers(1, 4), min_size=1, max_size=30)


def patients(counts: list[int]) -> list[list[str]]:
    return [[f"{number}-{case}" for case in range(count)] for number, count in enumerate(counts)]


@given(counts_of_patients, st.integers(1, 100), st.integers(0, 40))
def test_whole_patients_up_to_the_number_and_nested(counts: list[int], wanted: int, more: int) -> None:
    source = patients(counts)
    taken, larger = take(source, wanted), take(source, wanted + more)
    assert taken == source[: len(taken)]
    assert larger[: len(taken)] == taken
    assert len(taken) == 1 or sum(map(len, taken)) <= wanted
    if len(taken) < len(source) and sum(map(len, taken)) <= wanted:
        assert sum(map(len, source[: len(taken) + 1])) > wanted


@given(counts_of_patients, st.floats(0.01, 1))
def test_a_fraction_is_of_the_cases(counts: list[int], fraction: float) -> None:
    source = patients(counts)
    kept = Subset(fraction=fraction).cut({"ct": source}, {"ct": "CT"})["ct"]
    assert kept == list(chain.from_iterable(source))[: len(kept)]
    assert len(kept) <= max(round(fraction * sum(counts)), counts[0])
    assert len(kept) + max(counts) > round(fraction * sum(counts))


@given(st.integers(1, 40), st.integers(1, 40), st.sampled_from([(1, 1), (1, 2), (1, 5), (5, 1), (2, 3)]))
def test_the_ratio_holds(mr: int, ct: int, ratio: tuple[int, int]) -> None:
    kept = Subset(ratio=ratio).cut({"ct": patients([1] * ct), "mr": patients([1] * mr)}, BOTH)
    have_mr, have_ct = len(kept["mr"]), len(kept["ct"])
    # Exact where both have enough; to one case where the scarce modality does not divide.
    assert abs(have_mr * ratio[1] - have_ct * ratio[0]) < max(ratio) or 1 in (have_mr, have_ct)
    assert have_mr == mr or have_ct == ct or min(mr, ct) < max(ratio)


@pytest.mark.parametrize(("ratio", "counts"), [((1, 1), (6, 6)), ((1, 2), (6, 12)), ((1, 5), (6, 30))])
def test_the_ratios_of_fedgin(ratio: tuple[int, int], counts: tuple[int, int]) -> None:
    kept = Subset(ratio=ratio).cut({"ct": patients([1] * 40), "mr": patients([1] * 6)}, BOTH)
    assert (len(kept["mr"]), len(kept["ct"])) == counts


def test_cases_come_before_the_ratio() -> None:
    kept = Subset(cases=10, ratio=(1, 5)).cut({"ct": patients([1] * 40), "mr": patients([1] * 6)}, BOTH)
    assert (len(kept["mr"]), len(kept["ct"])) == (2, 10)


def test_a_ratio_needs_both() -> None:
    with pytest.raises(ValueError, match="needs data of both in one source, found CT"):
        Subset(ratio=(1, 2)).cut({"ct": patients([1])}, {"ct": "CT"})


def test_fraction_or_cases() -> None:
    with pytest.raises(SettingsError, match="either fraction or cases"):
        settings_of_options(Subset, fraction=0.5, cases=3)
