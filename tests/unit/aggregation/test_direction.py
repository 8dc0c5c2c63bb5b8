from __future__ import annotations

import numpy as np
import pytest

from flareseg.aggregation.direction import MOST_NUMBERS, DirectionSketch

SIZES = {"a": 400_000, "b": 3, "c": 600_000}


def updates(sites: int, flipped: int | None = None) -> dict[str, dict[str, np.ndarray]]:
    """Updates that share a direction, each with noise of its own of twice its length."""
    rng = np.random.default_rng(0)
    common = {name: rng.standard_normal(size).astype(np.float32) for name, size in SIZES.items()}
    sent = {}
    for number in range(sites):
        sign = -15.0 if number == flipped else 1.0
        noise = {name: rng.standard_normal(size).astype(np.float32) for name, size in SIZES.items()}
        sent[f"site-{number}"] = {name: sign * (common[name] + 2 * noise[name]) for name in SIZES}
    return sent


def exact(sent: dict[str, dict[str, np.ndarray]]) -> dict[str, float]:
    rows = {site: np.concatenate([value.ravel() for value in update.values()]) for site, update in sent.items()}
    total = sum(rows.values())
    return {
        site: float(row @ (total - row) / np.linalg.norm(row) / np.linalg.norm(total - row))
        for site, row in rows.items()
    }


def sketched(sent: dict[str, dict[str, np.ndarray]], seed: int = 0) -> dict[str, float]:
    sketch = DirectionSketch(SIZES, len(sent), seed)
    for site, update in sent.items():
        sketch.add(site, update, 3)
    return sketch.cosines()


def test_it_is_the_cosine_within_its_error() -> None:
    sent = updates(5)
    want = exact(sent)
    for seed in range(3):
        found = sketched(sent, seed)
        assert found.keys() == want.keys()
        assert all(abs(found[site] - want[site]) < 0.08 for site in want)
    assert sketched(sent, 1) == sketched(dict(reversed(sent.items())), 1)


def test_a_flipped_update_points_against_the_others() -> None:
    found = sketched(updates(5, flipped=2))
    assert found["site-2"] < -0.2


def test_of_two_sites_none_stands_against_the_others() -> None:
    assert sketched(updates(2)) == {}


def test_a_small_model_is_looked_at_and_updates_of_nothing_have_no_direction() -> None:
    sketch = DirectionSketch({"w": 4}, 3, 0)
    for site, value in (("a", 1.0), ("b", 1.0), ("c", 0.0)):
        sketch.add(site, {"w": np.full((2, 2), value, np.float32)}, 1)
    assert sketch.cosines() == {"a": pytest.approx(1.0), "b": pytest.approx(1.0), "c": 0.0}
    empty = DirectionSketch({}, 1, 0)
    for site in "abc":
        empty.add(site, {}, 1)
    assert set(empty.cosines().values()) == {0.0}


@pytest.mark.parametrize(("elements", "sites"), [(10_000_000, 3), (2_000_000, 200), (30_000_000, 20), (10**9, 2)])
def test_it_costs_next_to_nothing(elements: int, sites: int) -> None:
    sketch = DirectionSketch({"w": elements}, sites, 0)
    kept = sum(at.size for at in sketch._at.values())
    assert kept <= MOST_NUMBERS
    assert 4 * kept * sites <= 0.05 * 4 * elements
