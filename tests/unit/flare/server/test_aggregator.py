from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nvflare.apis.dxo import from_shareable
from nvflare.apis.shareable import Shareable
from nvflare.app_common.app_constant import AppConstants
from pydantic import ValidationError

from flareseg.aggregation.norm_bound import l2_norm
from flareseg.config.task import Task
from flareseg.errors import FlaresegError
from flareseg.flare.names import Header, Prop
from flareseg.flare.server.persistor import SegmentationModelPersistor
from flareseg.networks import build_network
from planted import plant_model
from server_bench import Bench
from tiny import TINY_TASK


@pytest.fixture
def bench(tmp_path: Path, task_content: dict[str, Any]) -> Bench:
    return Bench(tmp_path, task_content)


@pytest.mark.parametrize("norm", ["instance", "batch"])
@pytest.mark.parametrize("momentum", [0.0, 0.9])
@pytest.mark.parametrize("normalize", ["none", "mean"])
def test_two_rounds_are_the_published_arithmetic(
    tmp_path: Path, task_content: dict[str, Any], norm: str, momentum: float, normalize: str
) -> None:
    """Written out in float64, for parameters, statistics and the whole-numbered count of batches."""
    content = task_content | {
        "network": {"channels": [4, 8], "norm": norm},
        "aggregation": {"server_momentum": momentum},
        "fedgs": {**task_content["fedgs"], "normalize": normalize},
    }
    bench = Bench(tmp_path, content)
    parameters = {name for name, _ in build_network(bench.task).named_parameters()}
    sites = {"a": (3, 2.5), "b": (1, 1.0), "c": (2, 1.5)}  # steps and mean η
    divisor = 11.5 / 6 if normalize == "mean" else 1.0
    want = {name: value.astype(np.float64) for name, value in bench.state.items()}
    velocity = {name: np.zeros_like(want[name]) for name in parameters}
    for number in range(2):
        bench.open(number)
        updates = []
        for seed, (site, (steps, scale)) in enumerate(sites.items()):
            updates.append((steps, bench.update(10 * number + seed)))
            # The count of batches differs between sites: its mean is no whole number.
            updates[-1][1].update({k: v + seed for k, v in updates[-1][1].items() if v.dtype.kind == "i"})
            sent = bench.contribution(steps=steps, scale=scale)
            from_shareable(sent).data.update(updates[-1][1])
            assert bench.accept(site, sent) == (True, None)
        got = bench.aggregate()
        assert got.keys() == want.keys()
        for name, old in bench.state.items():
            change = sum(steps * update[name].astype(np.float64) for steps, update in updates) / 6
            if name in parameters:
                velocity[name] = momentum * velocity[name] - change / divisor
                want[name] = want[name] - velocity[name]
            else:
                want[name] = want[name] + change
            if old.dtype.kind == "i":
                want[name] = np.rint(want[name])
            assert got[name].dtype == old.dtype
            np.testing.assert_allclose(got[name], want[name], rtol=1e-6, atol=1e-7)
        bench.state = got
    assert (norm == "batch") == any(value.dtype.kind == "i" for value in bench.state.values())
    assert not bench.panics


@settings(max_examples=10, deadline=None)
@given(order=st.permutations(range(4)))
def test_order_of_arrival_does_not_change_a_bit(tmp_path_factory: pytest.TempPathFactory, order: list[int]) -> None:
    one, other = (Bench(tmp_path_factory.mktemp("job"), TINY_TASK) for _ in range(2))
    for seed in range(4):
        one.accept(str(seed), one.contribution(seed, 1 + seed % 3))
    for seed in order:
        other.accept(str(seed), other.contribution(seed, 1 + seed % 3))
    want, got = one.aggregate(), other.aggregate()
    assert all(want[name].tobytes() == got[name].tobytes() for name in want)


def _spoil(change: Callable[[dict[str, np.ndarray]], Any]) -> Callable[[Bench], Shareable]:
    def make(bench: Bench) -> Shareable:
        shareable = bench.contribution(9)
        change(from_shareable(shareable).data)
        return shareable

    return make


def _header(key: str, value: str) -> Callable[[Bench], Shareable]:
    def make(bench: Bench) -> Shareable:
        shareable = bench.contribution(9)
        shareable.set_header(key, value)
        return shareable

    return make


def _first(data: dict[str, np.ndarray], value: float) -> None:
    data[next(iter(data))].reshape(-1)[0] = value


BAD: dict[str, tuple[Callable[[Bench], Shareable], str]] = {
    "nan": (_spoil(lambda data: _first(data, np.nan)), "finite"),
    "infinite": (_spoil(lambda data: _first(data, np.inf)), "finite"),
    "huge": (_spoil(lambda data: _first(data, 1e30)), "should keep weight times value within"),
    "far": (_spoil(lambda data: _first(data, 1e4)), "its norm should be at most"),
    "unknown variable": (_spoil(lambda data: data.update(extra=np.zeros(2, np.float32))), "unknown: extra"),
    "missing variable": (_spoil(lambda data: data.pop(next(iter(data)))), "missing"),
    "misshapen": (_spoil(lambda data: data.update({k: v[..., None] for k, v in data.items()})), "shape"),
    "objects": (_spoil(lambda data: data.update({k: None for k in data})), ""),
    "no steps": (lambda bench: bench.contribution(9, steps=0), "1 to 3 steps"),
    "negative steps": (lambda bench: bench.contribution(9, steps=-1), "1 to 3 steps"),
    "absurd steps": (lambda bench: bench.contribution(9, steps=10**12), "1 to 3 steps"),
    "steps true": (lambda bench: bench.contribution(9, steps=True), "1 to 3 steps"),
    "steps missing": (lambda bench: bench.contribution(9, steps=None), "1 to 3 steps"),
    "earlier round": (lambda bench: bench.contribution(9, of_round=-1), "round -1, now is round 0"),
    "later round": (lambda bench: bench.contribution(9, of_round=1), "round 1, now is round 0"),
    "no scale": (lambda bench: bench.contribution(9, scale=None), "mean scale of 1 to 3"),
    "scale below": (lambda bench: bench.contribution(9, scale=0.5), "mean scale of 1 to 3"),
    "scale above": (lambda bench: bench.contribution(9, scale=3.5), "mean scale of 1 to 3"),
    "scale nan": (lambda bench: bench.contribution(9, scale=float("nan")), "mean scale of 1 to 3"),
    "no dxo": (lambda bench: _empty(bench), "not a valid DXO"),
    "other version": (_header(Header.VERSION, "0.0.0"), "made by flareseg 0.0.0"),
    "other task": (_header(Header.TASK_DIGEST, "x"), "another task.yaml"),
}


def _empty(bench: Bench) -> Shareable:
    shareable = Shareable()
    full = bench.contribution()
    for key in (Header.VERSION, Header.TASK_DIGEST):
        shareable.set_header(key, full.get_header(key))
    shareable.add_cookie(AppConstants.CONTRIBUTION_ROUND, 0)
    return shareable


@pytest.mark.parametrize("fault", BAD)
def test_a_bad_contribution_is_refused_and_leaves_no_trace(
    tmp_path: Path, task_content: dict[str, Any], fault: str
) -> None:
    benches = []
    for name in ("with", "without"):
        (tmp_path / name).mkdir()
        benches.append(Bench(tmp_path / name, task_content))
    make, words = BAD[fault]
    for bench in benches:
        assert bench.accept("a", bench.contribution(1))[0]
    accepted, reason = benches[0].accept("bad", make(benches[0]))
    assert not accepted
    assert words in str(reason)
    for bench in benches:
        assert bench.accept("b", bench.contribution(2))[0]
    want, got = benches[1].aggregate(), benches[0].aggregate()
    assert all(want[name].tobytes() == got[name].tobytes() for name in want)
    assert not benches[0].panics


def batch_norm(content: dict[str, Any], **aggregation: Any) -> dict[str, Any]:
    return content | {"network": {"channels": [4, 8], "norm": "batch"}, "aggregation": aggregation}


def spoil(shareable: Shareable, ending: str, value: float) -> Shareable:
    """Set every number of the variables with this ending."""
    data = from_shareable(shareable).data
    changed = [name for name in data if name.endswith(ending)]
    assert changed
    for name in changed:
        data[name] = np.full_like(data[name], value)
    return shareable


def times(shareable: Shareable, factor: float) -> Shareable:
    for value in from_shareable(shareable).data.values():
        value *= factor
    return shareable


def test_a_variance_below_0_is_refused(tmp_path: Path, task_content: dict[str, Any]) -> None:
    bench = Bench(tmp_path, batch_norm(task_content))
    accepted, reason = bench.accept("a", spoil(bench.contribution(), "running_var", -1000.0))
    assert not accepted
    assert "running_var should stay at or above 0, got a change to -999" in str(reason)


def test_batch_statistics_have_a_bound_of_their_own(tmp_path: Path, task_content: dict[str, Any]) -> None:
    """A first change of a thousand is what other images make; after that the others' changes are the measure."""
    bench = Bench(tmp_path, batch_norm(task_content), min_clients=3)
    for site in "abc":
        assert bench.accept(site, spoil(bench.contribution(), "running_var", 1000.0)) == (True, None)
    for number in (1, 2):
        bench.state = bench.aggregate()
        bench.open(number)
        assert all(bench.accept(site, bench.contribution(number))[0] for site in "abc")
    bench.state = bench.aggregate()
    bench.open(3)
    reason = bench.accept("a", spoil(bench.contribution(), "running_mean", 1e6))[1]
    assert "the norm of its batch statistics should be at most" in str(reason)


@pytest.mark.parametrize("rule", [{"rule": "median"}, {"rule": "trimmed_mean", "trim": 0.34}])
def test_middle_values_are_not_moved_by_one_of_three(
    tmp_path: Path, task_content: dict[str, Any], rule: dict[str, Any]
) -> None:
    bench = Bench(tmp_path, task_content | {"aggregation": rule})
    honest = bench.update(0)
    sent = {"a": bench.contribution(0), "b": bench.contribution(0), "liar": times(bench.contribution(0), -15)}
    assert [bench.accept(site, update) for site, update in sent.items()] == [(True, None)] * 3
    for name, new in bench.aggregate().items():
        np.testing.assert_allclose(new, bench.state[name] + honest[name], rtol=1e-6, atol=1e-7)


def test_what_is_clipped_counts_no_more_than_others_and_is_noted(tmp_path: Path, task_content: dict[str, Any]) -> None:
    bench = Bench(tmp_path, task_content | {"aggregation": {"clip": 1.0}}, min_clients=3)
    for site in "abc":
        bench.accept(site, bench.contribution(ord(site)))
    bench.state = bench.aggregate()
    bench.open(1)
    typical = l2_norm(bench.update(0), bench.state)
    sent = {"a": bench.contribution(1), "b": bench.contribution(2), "liar": times(bench.contribution(7), -15)}
    assert [bench.accept(site, update) for site, update in sent.items()] == [(True, None)] * 3
    fl_ctx = bench.context()
    new = from_shareable(bench.aggregator.aggregate(fl_ctx)).data
    assert "liar" in fl_ctx.get_prop(Prop.UPDATES).clipped
    moved = l2_norm({name: new[name] - bench.state[name] for name in new}, new)
    assert moved < 1.1 * typical  # unclipped it would be five times that


def test_a_flipped_update_is_noted(tmp_path: Path, task_content: dict[str, Any]) -> None:
    bench = Bench(tmp_path, task_content)
    for site, factor in {"a": 1, "b": 1, "liar": -1}.items():
        bench.accept(site, times(bench.contribution(0), factor))
    fl_ctx = bench.context()
    bench.aggregator.aggregate(fl_ctx)
    cosines = fl_ctx.get_prop(Prop.UPDATES).cosines
    assert cosines["liar"] == pytest.approx(-1)
    assert cosines.keys() == {"a", "b", "liar"}


@pytest.mark.parametrize(
    ("aggregation", "words"),
    [
        ({"trim": 0.2}, "trim belongs to rule: trimmed_mean"),
        ({"rule": "trimmed_mean"}, "trim belongs to rule: trimmed_mean"),
        ({"rule": "trimmed_mean", "trim": 0.5}, "less than 0.5"),
        ({"clip": 30.0}, "clip should be at most largest_norm, got 30 and 20"),
    ],
)
def test_settings_that_another_rule_would_ignore_are_refused(
    task_content: dict[str, Any], aggregation: dict[str, Any], words: str
) -> None:
    with pytest.raises(ValidationError, match=words):
        Task.model_validate(task_content | {"aggregation": aggregation})


def test_a_second_contribution_of_one_site_is_refused(bench: Bench) -> None:
    assert bench.accept("a", bench.contribution(0))[0]
    assert bench.accept("a", bench.contribution(1)) == (False, "a second contribution in one round")


def test_after_aggregate_the_round_is_closed_until_the_next_starts(bench: Bench) -> None:
    for site in "ab":
        bench.accept(site, bench.contribution())
    bench.aggregate()
    assert bench.accept("c", bench.contribution()) == (False, "the round is closed")
    bench.open(1)
    assert bench.accept("c", bench.contribution(of_round=0))[1] == "it is of round 0, now is round 1"
    assert bench.accept("c", bench.contribution())[0]


def test_below_k_accepted_the_model_stays_and_the_job_stops(bench: Bench) -> None:
    bench.accept("a", bench.contribution())
    bench.accept("b", bench.contribution(steps=0))
    assert all(value is bench.state[name] for name, value in bench.aggregate().items())
    (reason,) = bench.panics
    assert "1 contributions accepted (a), 2 needed" in reason


def test_momentum_goes_on_over_rounds_but_not_for_buffers(tmp_path: Path, task_content: dict[str, Any]) -> None:
    content = task_content | {"aggregation": {"server_momentum": 0.5}, "network": {"channels": [4, 8], "norm": "batch"}}
    bench = Bench(tmp_path, content, min_clients=1)
    changes = []
    for number in range(2):
        bench.open(number)
        bench.accept("a", bench.contribution(0))
        changes.append({name: value - bench.state[name] for name, value in bench.aggregate().items()})
    parameters = {name for name, _ in build_network(bench.task).named_parameters()}
    for name, first in changes[0].items():
        factor = 1.5 if name in parameters else 1.0
        np.testing.assert_allclose(changes[1][name], factor * first, rtol=1e-4, atol=1e-7)


def test_normalize_divides_the_update_by_the_mean_scale_and_leaves_buffers(
    tmp_path: Path, task_content: dict[str, Any]
) -> None:
    content = task_content | {"network": {"channels": [4, 8], "norm": "batch"}}
    normalized = content | {"fedgs": {**content["fedgs"], "normalize": "mean"}}
    got = []
    for name, settings_ in (("plain", content), ("mean", normalized)):
        (tmp_path / name).mkdir()
        bench = Bench(tmp_path / name, settings_)
        bench.accept("a", bench.contribution(0, steps=3, scale=2.0))
        bench.accept("b", bench.contribution(1, steps=1, scale=1.0))
        got.append({key: value - bench.state[key] for key, value in bench.aggregate().items()})
    parameters = {name for name, _ in build_network(bench.task).named_parameters()}
    for name, plain_change in got[0].items():
        divisor = 1.75 if name in parameters else 1.0
        np.testing.assert_allclose(got[1][name], plain_change / divisor, rtol=1e-4, atol=1e-6)


def test_a_constant_is_the_only_scale_of_its_arm(tmp_path: Path, task_content: dict[str, Any]) -> None:
    bench = Bench(tmp_path, task_content | {"fedgs": {"constant": 1.34}})
    assert bench.accept("a", bench.contribution(scale=1.34))[0]
    assert "mean scale of 1.34 to 1.34" in str(bench.accept("b", bench.contribution(scale=1.5))[1])


@pytest.mark.parametrize(
    ("change", "part"),
    [({"network": {"channels": [4, 8], "norm": "local_batch"}}, ".N."), ({"frozen": ["model.0.*"]}, "model.0.")],
    ids=["local", "frozen"],
)
def test_what_no_site_sends_is_refused_and_stays_as_it_is(
    tmp_path: Path, task_content: dict[str, Any], change: dict[str, Any], part: str
) -> None:
    bench = Bench(tmp_path, task_content | change, min_clients=1)
    full = bench.contribution(0)
    assert "unknown" in str(bench.accept("greedy", full)[1])
    local = {name for name in bench.state if part in name}
    assert local
    data = from_shareable(full).data
    for name in local:
        del data[name]
    assert bench.accept("a", full) == (True, None)
    for name, value in bench.aggregate().items():
        assert (value is bench.state[name]) == (name in local)


def test_momentum_goes_on_to_the_last_bit(tmp_path: Path, task_content: dict[str, Any]) -> None:
    content = task_content | {"aggregation": {"server_momentum": 0.9}}
    for name in ("unbroken", "broken"):
        (tmp_path / name).mkdir()
    unbroken = Bench(tmp_path / "unbroken", content, min_clients=1)
    first = Bench(tmp_path / "broken", content, min_clients=1)
    for bench in (unbroken, first):
        bench.accept("a", bench.contribution(0))
        bench.aggregate()
    second = Bench(tmp_path / "broken", content, min_clients=1)
    second.aggregator.load_state(first.aggregator.state())
    results = []
    for bench in (unbroken, second):
        bench.open(1)
        bench.accept("a", bench.contribution(1))
        results.append(bench.aggregate())
    assert all(results[0][name].tobytes() == results[1][name].tobytes() for name in results[0])


def test_crafted_models_of_a_run_are_refused_and_not_run(bench: Bench, tmp_path: Path) -> None:
    folder, marker = tmp_path / "job" / "flareseg", tmp_path / "marker"
    folder.mkdir(parents=True)
    plant_model(folder / "best.pt", marker)
    with pytest.raises(FlaresegError, match="is not a flareseg model"):
        SegmentationModelPersistor().get_model("best", bench.context())
    assert not marker.exists()
