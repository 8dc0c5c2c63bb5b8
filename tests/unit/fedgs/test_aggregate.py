from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from flareseg.fedgs import Contribution, CumulativeUpdate, ServerMomentum, aggregate


def network(seed: int) -> nn.Sequential:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.ReLU(), nn.Conv2d(3, 1, 1))


def local_run(
    start: dict[str, torch.Tensor], site: int, steps: int, scale: Callable[[int], float] = lambda _: 1.0
) -> tuple[Contribution, dict[str, torch.Tensor]]:
    """What a site sends, and its local state."""
    net = network(0)
    net.load_state_dict(start)
    update = CumulativeUpdate(torch.optim.AdamW(net.parameters(), lr=1e-2, weight_decay=0.0))
    generator = torch.Generator().manual_seed(site)
    for step in range(steps):
        net.zero_grad()
        net(torch.randn(2, 1, 6, 6, generator=generator)).square().mean().backward()
        update.step(scale(step))
    names = [name for name, _ in net.named_parameters()]
    sent = Contribution(
        f"site-{site}", steps, dict(zip(names, update.update(), strict=True)), dict(net.named_buffers())
    )
    return sent, net.state_dict()


@settings(max_examples=8, deadline=None)
@given(st.lists(st.integers(1, 5), min_size=1, max_size=4))
def test_without_scaling_it_is_fedavg_weighted_by_steps(steps: list[int]) -> None:
    start = network(7).state_dict()
    runs = [local_run(start, site, count) for site, count in enumerate(steps)]
    found = aggregate(start, [sent for sent, _ in runs])
    assert found.keys() == start.keys()
    for name, old in start.items():
        mean = sum(count * local[name].double() for count, (_, local) in zip(steps, runs, strict=True)) / sum(steps)
        assert found[name].dtype == old.dtype
        if old.is_floating_point():
            torch.testing.assert_close(found[name].double(), mean, rtol=1e-5, atol=1e-6)
        else:
            assert found[name] == mean.round()


@settings(max_examples=8, deadline=None)
@given(order=st.permutations(range(4)))
def test_order_does_not_matter_to_the_last_bit(order: list[int]) -> None:
    start = network(7).state_dict()
    sent = [local_run(start, site, site + 1)[0] for site in range(4)]
    one, other = aggregate(start, sent), aggregate(start, [sent[i] for i in order])
    assert all(torch.equal(one[name], other[name]) for name in start)


@settings(max_examples=8, deadline=None)
@given(factor=st.floats(1, 3))
def test_scaling_one_site_scales_only_its_part(factor: float) -> None:
    start = network(7).state_dict()
    a, b = (local_run(start, site, 3)[0] for site in (0, 1))
    scaled = local_run(start, 1, 3, lambda _: factor)[0]
    plain, changed = aggregate(start, [a, b]), aggregate(start, [a, scaled])
    for name in start:
        if name in b.update:
            expected = plain[name] - (factor - 1) * b.update[name] / 2
            torch.testing.assert_close(changed[name], expected, rtol=1e-5, atol=1e-6)
        else:
            assert torch.equal(changed[name], plain[name])


def arrays(update: float, count: int, flag: bool, site: str = "a", steps: int = 1) -> Contribution:
    buffers = {"count": np.int32(count), "flag": np.array([flag])}
    return Contribution(site, steps, {"w": np.full(2, update, np.float32)}, buffers)


STATE = {
    "w": np.ones(2, np.float32),
    "count": np.int32(5),
    "flag": np.array([False]),
    "kept": np.array([1.5], np.float64),
}


def test_arrays_types_and_what_is_left_out() -> None:
    found = aggregate(STATE, [arrays(0.5, 8, True, "a", 3), arrays(-0.5, 9, False, "b", 1)])
    np.testing.assert_array_equal(found["w"], np.full(2, 0.75, np.float32))
    assert (found["count"], found["count"].dtype) == (8, np.int32)
    assert (found["flag"].tolist(), found["flag"].dtype) == ([True], bool)
    assert found["kept"] is STATE["kept"]


def test_bfloat16_tensors() -> None:
    state = {"w": torch.ones(2, dtype=torch.bfloat16)}
    sent = Contribution("a", 1, {"w": torch.full((2,), 0.5, dtype=torch.bfloat16)}, {})
    assert torch.equal(aggregate(state, [sent])["w"], torch.full((2,), 0.5, dtype=torch.bfloat16))


def test_server_momentum_survives_a_resume() -> None:
    momentum = ServerMomentum(0.5)
    state = aggregate(STATE, [arrays(1.0, 5, False)], momentum)
    np.testing.assert_allclose(state["w"], 0.0)
    resumed = ServerMomentum(0.5)
    resumed.load_state(momentum.state())
    for keeper in (momentum, resumed):
        after = aggregate(state, [arrays(1.0, 5, False)], keeper)
        np.testing.assert_allclose(after["w"], -1.5)  # v = 0.5·1 + 1
        assert after["count"] == 5
    with pytest.raises(ValueError, match=r"momentum should be in \[0, 1\), got 1"):
        ServerMomentum(1.0)


@pytest.mark.parametrize(
    ("contributions", "message"),
    [
        ([], "at least one contribution"),
        ([arrays(1, 1, True), arrays(1, 1, True)], "site 'a' refused: a second contribution"),
        ([arrays(1, 1, True), arrays(np.nan, 1, True, "b")], "site 'b' refused: w should be finite"),
        ([arrays(1, 1, True, steps=0)], "site 'a' refused: weight should be a whole number"),
        ([Contribution("a", 1, {"v": np.ones(1)}, {})], "unknown variables: v"),
        ([Contribution("a", 1, {"w": np.ones(3, np.float32)}, {})], r"w should have shape \(2,\), got \(3,\)"),
        ([Contribution("a", 1, {"w": np.ones(2)}, {"w": np.ones(2)})], "both parameter and buffer: w"),
        ([arrays(1, 1, True), Contribution("b", 1, {}, {"w": np.ones(2)})], "other parameters than the sites before"),
    ],
)
def test_refuses(contributions: list[Contribution], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        aggregate(STATE, contributions)
