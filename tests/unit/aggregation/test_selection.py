from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from flareseg.aggregation.selection import best_model, far_sites, gain, lone_preferences

Dice = st.floats(0, 1)


@given(st.tuples(Dice, Dice), st.tuples(Dice, Dice), Dice, Dice)
def test_one_liar_cannot_turn_what_two_others_clearly_prefer(
    one: tuple[float, float], other: tuple[float, float], lie: float, lie_of_other: float
) -> None:
    """Clearly: by more than half of what one site counts for, each."""
    better = {"a": max(one[0], other[0]), "b": max(one[1], other[1])}
    worse = {"a": min(one[0], other[0]), "b": min(one[1], other[1])}
    if any(better[site] - worse[site] <= 0.0501 for site in "ab"):
        return
    models = {"worse": {**worse, "liar": lie}, "better": {**better, "liar": lie_of_other}}
    assert best_model(models) == "better"


def test_the_liar_of_the_issue() -> None:
    """0.10 over 0.20: Dice 1.0 for its favourite, 0 for the others."""
    models = {
        "last": {"a": 0.20, "b": 0.20, "liar": 0.0},
        "best": {"a": 0.10, "b": 0.10, "liar": 1.0},
        "best_small": {"a": 0.18, "b": 0.19, "liar": 0.0},
    }
    assert best_model(models) == "last"
    assert far_sites(models["last"]) == {}
    assert lone_preferences(models["last"], models["best"]) == {"liar": 1.0}


def test_the_only_mr_site_decides_between_models_that_are_equal_on_ct() -> None:
    models = {
        "last": {"ct-a": 0.80, "ct-b": 0.79, "mr-a": 0.30},
        "best": {"ct-a": 0.79, "ct-b": 0.80, "mr-a": 0.55},
    }
    assert best_model(models) == "best"
    assert lone_preferences(models["best"], models["last"]) == {}


def test_of_equals_the_first_and_of_nothing_none() -> None:
    assert best_model({"last": {"a": 0.5}, "best": {"a": 0.5}}) == "last"
    assert best_model({"last": {"a": 0.5}}) == "last"
    assert best_model({"last": {}}) is None
    assert best_model({}) is None


def test_a_missing_site_is_no_gain() -> None:
    assert gain({"easy": 0.9}, {"easy": 0.9, "hard": 0.1}) == 0


@given(st.dictionaries(st.sampled_from("abc"), st.dictionaries(st.sampled_from("xyz"), Dice, min_size=3), min_size=2))
def test_a_model_that_beats_every_other_wins(models: dict[str, dict[str, float]]) -> None:
    beats_all = [n for n in models if all(gain(models[n], models[m]) > 1e-9 for m in models if m != n)]
    if beats_all:
        assert best_model(models) == beats_all[0]


def test_a_site_far_from_the_others_is_named() -> None:
    assert far_sites({"a": 0.8, "b": 0.7, "mr": 0.2}) == {"mr": 0.7}
    assert far_sites({"a": 0.8, "b": 0.2}) == {}
