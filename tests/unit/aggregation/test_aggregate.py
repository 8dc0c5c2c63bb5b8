from __future__ import annotations

import copy
from collections.abc import Callable, Iterable
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from flareseg.aggregation import ExactSum, ServerMomentum, aggregate, mean_scale
from flareseg.fedgs import CumulativeUpdate

Arrays = dict[str, np.ndarray]


def network(seed: int) -> nn.Sequential:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.ReLU(), nn.Conv2d(3, 1, 1))


PARAMETERS = {name for name, _ in network(0).named_parameters()}
START = {name: value.numpy() for name, value in network(7).state_dict().items()}


def local_run(site: int, steps: int, scale: Callable[[int], float] = lambda _: 1.0) -> tuple[Arrays, Arrays]:
    """What a site sends, and its local state."""
    net = network(0)
    net.load_state_dict({name: torch.from_numpy(value) for name, value in START.items()})
    update = CumulativeUpdate(torch.optim.AdamW(net.parameters(), lr=1e-2, weight_decay=0.0))
    generator = torch.Generator().manual_seed(site)
    for step in range(steps):
        net.zero_grad()
        net(torch.randn(2, 1, 6, 6, generator=generator)).square().mean().backward()
        update.step(scale(step))
    names = [name for name, _ in net.named_parameters()]
    sent = {name: -total.numpy() for name, total in zip(names, update.update(), strict=True)}
    sent |= {name: buffer.numpy() - START[name] for name, buffer in net.named_buffers()}
    return sent, {name: value.numpy() for name, value in net.state_dict().items()}


def a_round(
    state: Arrays,
    sent: Iterable[tuple[Arrays, int]],
    parameters: Iterable[str] = PARAMETERS,
    momentum: ServerMomentum | None = None,
    scale: float = 1.0,
) -> Arrays:
    sent = list(sent)
    changes = ExactSum({name: state[name] for name in sent[0][0]}, len(sent))
    for values, steps in sent:
        changes.add(values, steps)
    return aggregate(state, changes, set(parameters), momentum or ServerMomentum(0.0), scale)


@settings(max_examples=8, deadline=None)
@given(st.lists(st.integers(1, 5), min_size=1, max_size=4))
def test_without_scaling_it_is_fedavg_weighted_by_steps(steps: list[int]) -> None:
    runs = [local_run(site, count) for site, count in enumerate(steps)]
    found = a_round(START, [(sent, count) for count, (sent, _) in zip(steps, runs, strict=True)])
    assert found.keys() == START.keys()
    for name, old in START.items():
        locals_ = [count * local[name].astype(np.float64) for count, (_, local) in zip(steps, runs, strict=True)]
        mean = sum(locals_) / sum(steps)
        assert found[name].dtype == old.dtype
        if old.dtype.kind == "f":
            np.testing.assert_allclose(found[name], mean, rtol=1e-5, atol=1e-6)
        else:
            assert found[name] == np.rint(mean)


@settings(max_examples=8, deadline=None)
@given(order=st.permutations(range(4)))
def test_order_does_not_matter_to_the_last_bit(order: list[int]) -> None:
    sent = [(local_run(site, site + 1)[0], site + 1) for site in range(4)]
    one, other = a_round(START, sent), a_round(START, [sent[i] for i in order])
    assert all(one[name].tobytes() == other[name].tobytes() for name in START)


@settings(max_examples=8, deadline=None)
@given(factor=st.floats(1, 3))
def test_scaling_one_site_scales_only_its_part(factor: float) -> None:
    a, b = (local_run(site, 3)[0] for site in (0, 1))
    scaled = local_run(1, 3, lambda _: factor)[0]
    plain, changed = a_round(START, [(a, 3), (b, 3)]), a_round(START, [(a, 3), (scaled, 3)])
    for name in START:
        if name in PARAMETERS:
            expected = plain[name] + (factor - 1) * b[name] / 2
            np.testing.assert_allclose(changed[name], expected, rtol=1e-5, atol=1e-6)
        else:
            assert changed[name].tobytes() == plain[name].tobytes()


TYPES = [np.float16, np.float32, np.float64, np.int8, np.uint8, np.int32, np.int64, bool]


@settings(max_examples=60, deadline=None)
@given(
    kinds=st.lists(st.sampled_from(TYPES), min_size=1, max_size=5),
    shape=st.sampled_from([(), (1,), (3, 2), (0,)]),
    weights=st.lists(st.integers(1, 50), min_size=1, max_size=4),
    seed=st.integers(0, 1000),
)
def test_buffers_keep_type_and_shape_and_whole_ones_are_the_mean_of_rational_arithmetic(
    kinds: list[type], shape: tuple[int, ...], weights: list[int], seed: int
) -> None:
    rng = np.random.default_rng(seed)
    state = {str(number): np.zeros(shape, kind) + kind(rng.integers(0, 2)) for number, kind in enumerate(kinds)}
    state = {name: np.asarray(value, kind) for (name, value), kind in zip(state.items(), kinds, strict=True)}
    sent = [
        ({name: np.asarray(rng.integers(0, 2, shape), value.dtype) for name, value in state.items()}, weight)
        for weight in weights
    ]
    found = a_round(state, sent, parameters=())
    for name, old in state.items():
        assert (found[name].dtype, found[name].shape) == (old.dtype, shape)
        if old.dtype.kind in "iu":
            means = sum(Fraction(weight) * values[name].astype(object) for values, weight in sent) / sum(weights)
            expected = [round(int(value) + mean) for value, mean in zip(old.flat, np.ravel(means), strict=True)]
            assert found[name].ravel().tolist() == expected  # to the nearest, half to even


def arrays(update: float, count: int, flag: bool) -> Arrays:
    return {"w": np.full(2, -update, np.float32), "count": np.array(count, np.int32), "flag": np.array([flag])}


STATE = {
    "w": np.ones(2, np.float32),
    "count": np.array(5, np.int32),
    "flag": np.array([False]),
    "kept": np.array([1.5], np.float64),
}


def test_types_and_what_is_left_out() -> None:
    before = copy.deepcopy(STATE)
    found = a_round(STATE, [(arrays(0.5, 3, True), 3), (arrays(-0.5, 4, False), 1)], {"w"})
    np.testing.assert_array_equal(found["w"], np.full(2, 0.75, np.float32))
    assert (found["count"], found["count"].dtype) == (8, np.int32)
    assert (found["flag"].tolist(), found["flag"].dtype) == ([True], bool)
    assert found["kept"] is STATE["kept"]
    assert all(STATE[name].tobytes() == before[name].tobytes() for name in STATE)
    half = a_round(STATE, [(arrays(0.5, 3, True), 2), (arrays(-0.5, 4, False), 2)], {"w"})
    assert half["flag"].tolist() == [False]  # half is not a majority


def in_the_papers_sign(
    state: Arrays, mean: Arrays, parameters: set[str], velocity: Arrays, m: float, eta: float
) -> None:
    """The paper's arithmetic, v = m v + G and w = w - v with G = -Δ, in float64, as it was done here before."""
    for name, change in mean.items():
        if name in parameters:
            change = np.negative(change) / eta
            if m:
                change = change + m * velocity.get(name, 0.0)
                velocity[name] = change.astype(np.float32)
            new = state[name] - change
        else:
            new = state[name] + change
        state[name] = new.astype(state[name].dtype)


@pytest.mark.parametrize("momentum", [0.0, 0.9])
@pytest.mark.parametrize("eta", [1.0, 1.34])
def test_one_sign_gives_the_bits_of_the_papers_two(momentum: float, eta: float) -> None:
    """Also for updates that cancel, updates of nothing and weights of zero: none of them becomes -0."""
    rng = np.random.default_rng(0)
    names = [name for name in START if START[name].dtype.kind == "f"]
    ours = {name: START[name].copy() for name in names}
    for value in ours.values():
        value.reshape(-1)[0] = 0.0
    paper, velocity, server = dict(ours), {}, ServerMomentum(momentum)
    for number in range(4):
        one = {name: rng.normal(0, 0.01, START[name].shape).astype(np.float32) for name in names}
        other = {name: -value if number == 1 else np.zeros_like(value) for name, value in one.items()}
        total, same = ExactSum(ours, 2), ExactSum(ours, 2)
        for sums in (total, same):
            sums.add(one, 3)
            sums.add(other, 3)
        ours = aggregate(ours, total, PARAMETERS, server, eta)
        in_the_papers_sign(paper, dict(same.drain()), PARAMETERS, velocity, momentum, eta)
        assert all(ours[name].tobytes() == paper[name].tobytes() for name in names)
        assert all((server.state()[name] == -v).all() for name, v in velocity.items())


def test_server_momentum_survives_a_resume() -> None:
    momentum = ServerMomentum(0.5)
    state = a_round(STATE, [(arrays(1.0, 0, False), 1)], {"w"}, momentum)
    np.testing.assert_allclose(state["w"], 0.0)
    resumed = ServerMomentum(0.5)
    resumed.load_state(momentum.state())
    for keeper in (momentum, resumed):
        after = a_round(state, [(arrays(1.0, 0, False), 1)], {"w"}, keeper)
        np.testing.assert_allclose(after["w"], -1.5)  # v = 0.5·1 + 1
        assert after["count"] == 5
    with pytest.raises(ValueError, match=r"momentum should be in \[0, 1\), got 1"):
        ServerMomentum(1.0)


def test_the_mean_scale_divides_the_update_alone() -> None:
    scale = mean_scale([(3, 2.0), (1, 1.0)])
    assert scale == 1.75
    found = a_round(STATE, [(arrays(3.5, 2, True), 1)], {"w"}, scale=scale)
    np.testing.assert_array_equal(found["w"], np.full(2, -1, np.float32))
    assert found["count"] == 7


def test_nothing_to_add() -> None:
    with pytest.raises(ValueError, match="no contribution was added"):
        aggregate(STATE, ExactSum(STATE, 2), {"w"}, ServerMomentum(0.0))
