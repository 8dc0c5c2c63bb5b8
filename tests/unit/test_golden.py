"""FedGS against the published arithmetic: whole rounds of two small nets."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from flareseg.aggregation import ExactSum, ServerMomentum, aggregate
from flareseg.fedgs import CumulativeUpdate, scale_factor

GOLDEN = Path(__file__).parents[1] / "golden"
NETS = {
    "bn": lambda: nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1, bias=False), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 2, 1)
    ),
    "in": lambda: nn.Sequential(
        nn.Conv2d(1, 6, 3, padding=1, bias=False),
        nn.InstanceNorm2d(6, affine=True),
        nn.LeakyReLU(0.01),
        nn.Conv2d(6, 6, 3, padding=1),
        nn.LeakyReLU(0.01),
        nn.Conv2d(6, 2, 1),
    ),
}


def soft_dice(logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    probability = logits.softmax(1)[:, 1:]
    overlap = (probability * target).sum()
    return 1 - (2 * overlap + 0.1) / (probability.sum() + target.sum() + 0.1)


@pytest.fixture(params=["fedgs_bn_base100", "fedgs_in_base1000"])
def golden(request: pytest.FixtureRequest) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    arrays = dict(np.load(GOLDEN / f"{request.param}.npz"))
    return arrays, json.loads(str(arrays.pop("config")))


def part(arrays: dict[str, np.ndarray], prefix: str) -> dict[str, np.ndarray]:
    return {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}


def assert_agrees(found: dict[str, Any], expected: dict[str, np.ndarray], scale: float = 0.0) -> None:
    """Each within 1e-4 of its own norm, or of ``scale``."""
    assert found.keys() == expected.keys()
    for name, want in expected.items():
        error = np.linalg.norm(np.asarray(found[name], np.float64) - want)
        assert error <= 1e-4 * max(float(np.linalg.norm(want)), scale), name


def test_rounds(golden: tuple[dict[str, np.ndarray], dict[str, Any]]) -> None:
    arrays, config = golden
    start = part(arrays, "global/")
    changes = ExactSum(start, len(config["local_steps"]))
    for client, steps in enumerate(config["local_steps"]):
        given = part(arrays, f"client{client}/")
        net = NETS[config["net"]]()
        net.load_state_dict({name: torch.from_numpy(array) for name, array in start.items()})
        optimizer = torch.optim.AdamW(net.parameters(), lr=config["lr"], weight_decay=config["weight_decay"])
        update = CumulativeUpdate(optimizer)
        for x, y, eta in zip(given["x"], given["y"], given["eta"], strict=True):
            found = scale_factor(y, log_base=config["log_base"], threshold=config["threshold"])
            assert found == pytest.approx(eta, rel=1e-6)
            optimizer.zero_grad()
            soft_dice(net(torch.from_numpy(x)), torch.from_numpy(y).float()).backward()
            update.step(found)
        assert update.steps == steps
        names = [name for name, _ in net.named_parameters()]
        total = dict(zip(names, update.update(), strict=True))
        # Steps of one bias cancel to a 500th of a step; gradients rounded with another number of threads move what
        # is left by 8e-4 of itself. So no tensor is asked for more than 1e-4 of one step.
        assert_agrees(total, part(arrays, f"client{client}/cumulative/"), scale=config["lr"])
        assert_agrees(net.state_dict(), part(arrays, f"client{client}/local/"))
        buffers = {name: buffer.numpy() - start[name] for name, buffer in net.named_buffers()}
        changes.add({name: -update.numpy() for name, update in total.items()} | buffers, steps)

    found = aggregate(start, changes, names, ServerMomentum(0.0))
    expected = part(arrays, "aggregated/")
    for name, array in expected.items():
        if start[name].dtype.kind == "i":  # the golden vectors hold the mean, 4.25; ours keeps the type
            expected[name] = np.rint(array)
        assert found[name].dtype == start[name].dtype
    assert_agrees(found, expected)
