from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from flareseg.fedgs import CumulativeUpdate, cumulative

OPTIMIZERS: list[tuple[type[torch.optim.Optimizer], dict[str, Any]]] = [
    (torch.optim.AdamW, {"weight_decay": 0.1}),
    (torch.optim.AdamW, {"weight_decay": 0.0, "betas": (0.8, 0.9), "eps": 1e-3}),
    (torch.optim.AdamW, {"maximize": True, "foreach": True}),
    (torch.optim.AdamW, {"fused": True}),
    (torch.optim.Adam, {"weight_decay": 0.1}),
    (torch.optim.Adam, {}),
    (torch.optim.SGD, {}),
    (torch.optim.SGD, {"weight_decay": 0.1, "maximize": True}),
    (torch.optim.SGD, {"momentum": 0.9, "dampening": 0.2, "weight_decay": 0.1}),
    (torch.optim.SGD, {"momentum": 0.9, "nesterov": True, "weight_decay": 0.1}),
]


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 3, 3), nn.ReLU(), nn.Conv2d(3, 2, 3), nn.Flatten(), nn.Linear(32, 1)).double()


def train(net: nn.Module, update: CumulativeUpdate, scales: list[float]) -> list[list[Tensor]]:
    """The gradients of each step."""
    generator = torch.Generator().manual_seed(1)
    gradients = []
    for scale in scales:
        net.zero_grad()
        x = torch.randn(4, 1, 8, 8, generator=generator, dtype=torch.float64)
        net(x).square().mean().backward()
        gradients.append([p.grad.clone() for p in net.parameters()])
        update.step(scale)
    return gradients


@pytest.mark.parametrize(("kind", "options"), OPTIMIZERS)
def test_equals_the_differences_of_parameters(kind, options) -> None:
    scales = [1.0, 2.5, 1.3, 3.0]
    net = network()
    optimizer = kind(net.parameters(), lr=1e-2, **options)
    plain = copy.deepcopy(net)
    plain_optimizer = kind(plain.parameters(), lr=1e-2, **options)
    update = CumulativeUpdate(optimizer)
    gradients = train(net, update, scales)

    decay = 1e-2 * optimizer.param_groups[0]["weight_decay"] if kind is torch.optim.AdamW else 0.0
    expected = [torch.zeros_like(p) for p in plain.parameters()]
    for scale, gradient in zip(scales, gradients, strict=True):
        before = [p.detach().clone() for p in plain.parameters()]
        for p, g in zip(plain.parameters(), gradient, strict=True):
            p.grad = g
        plain_optimizer.step()
        for total, old, new in zip(expected, before, plain.parameters(), strict=True):
            total += scale * (old * (1 - decay) - new.detach())

    for found, want in zip(update.update(), expected, strict=True):
        torch.testing.assert_close(found, want, rtol=1e-9, atol=1e-13)
    # Training itself is what it would be without.
    for p, q in zip(net.parameters(), plain.parameters(), strict=True):
        assert torch.equal(p, q)
    assert update.steps == 4
    assert update.mean_scale == pytest.approx(1.95)


def test_adamw_written_out() -> None:
    """AdamW in float64 NumPy, against a float32 run."""
    rng = np.random.default_rng(0)
    w = rng.standard_normal(50)
    parameter = nn.Parameter(torch.from_numpy(w).float())
    lr, b1, b2, eps, decay = 1e-3, 0.9, 0.999, 1e-8, 0.05
    update = CumulativeUpdate(torch.optim.AdamW([parameter], lr=lr, weight_decay=decay))
    m, v, G = np.zeros(50), np.zeros(50), np.zeros(50)
    for t in range(1, 31):
        g = rng.standard_normal(50) + 0.5
        parameter.grad = torch.from_numpy(g).float()
        eta = 1 + t / 15
        update.step(eta)
        m = b1 * m + (1 - b1) * g
        v = b2 * v + (1 - b2) * g**2
        d = lr * (m / (1 - b1**t)) / (np.sqrt(v / (1 - b2**t)) + eps)
        w = w - lr * decay * w - d
        G += eta * d
    np.testing.assert_allclose(update.update()[0].numpy(), G, rtol=1e-5)
    np.testing.assert_allclose(parameter.detach().numpy(), w, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("decay", [0.0, 0.05])
def test_adam_written_out(decay: float) -> None:
    """Adam in float64 NumPy, its decay part of the gradient, against a float32 run."""
    rng = np.random.default_rng(0)
    w = rng.standard_normal(50)
    parameter = nn.Parameter(torch.from_numpy(w).float())
    lr, b1, b2, eps = 1e-3, 0.9, 0.999, 1e-8
    update = CumulativeUpdate(torch.optim.Adam([parameter], lr=lr, weight_decay=decay))
    m, v, G = np.zeros(50), np.zeros(50), np.zeros(50)
    for t in range(1, 31):
        g = rng.standard_normal(50) + 0.5
        parameter.grad = torch.from_numpy(g).float()
        eta = 1 + t / 15
        update.step(eta)
        g = g + decay * w
        m = b1 * m + (1 - b1) * g
        v = b2 * v + (1 - b2) * g**2
        d = lr * (m / (1 - b1**t)) / (np.sqrt(v / (1 - b2**t)) + eps)
        w = w - d
        G += eta * d
    np.testing.assert_allclose(update.update()[0].numpy(), G, rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(parameter.detach().numpy(), w, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize(
    ("momentum", "dampening", "nesterov"), [(0.0, 0.0, False), (0.9, 0.0, False), (0.9, 0.3, False), (0.9, 0.0, True)]
)
def test_sgd_written_out(momentum: float, dampening: float, nesterov: bool) -> None:
    """SGD in float64 NumPy, its decay part of the gradient, against a float32 run."""
    rng = np.random.default_rng(0)
    w = rng.standard_normal(50)
    parameter = nn.Parameter(torch.from_numpy(w).float())
    lr, decay = 1e-2, 0.05
    options = {"momentum": momentum, "dampening": dampening, "nesterov": nesterov, "weight_decay": decay}
    update = CumulativeUpdate(torch.optim.SGD([parameter], lr=lr, **options))
    b, G = np.zeros(50), np.zeros(50)
    for t in range(1, 31):
        g = rng.standard_normal(50) + 0.5
        parameter.grad = torch.from_numpy(g).float()
        eta = 1 + t / 15
        update.step(eta)
        g = g + decay * w
        b = g if t == 1 else momentum * b + (1 - dampening) * g
        d = lr * ((g + momentum * b) if nesterov else b if momentum else g)
        w = w - d
        G += eta * d
    np.testing.assert_allclose(update.update()[0].numpy(), G, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(parameter.detach().numpy(), w, rtol=1e-5, atol=1e-6)


def test_tensors_larger_than_the_scratch(monkeypatch: pytest.MonkeyPatch) -> None:
    results = []
    for size in (1 << 16, 7):
        monkeypatch.setattr(cumulative, "_CPU_CHUNK", size)
        net = network().to(memory_format=torch.channels_last)
        update = CumulativeUpdate(torch.optim.AdamW(net.parameters()))
        train(net, update, [1.0, 2.0])
        results.append(update.update())
    for whole, pieces in zip(*results, strict=True):
        torch.testing.assert_close(whole, pieces, rtol=1e-14, atol=0)


@pytest.mark.parametrize("kind", [torch.optim.AdamW, torch.optim.SGD])
def test_parameters_without_gradient_are_left_out(kind) -> None:
    a, b, c = (nn.Parameter(torch.ones(2)) for _ in range(3))
    update = CumulativeUpdate(kind([{"params": [a]}, {"params": [b, c], "lr": 0.5}], lr=0.1))
    a.grad = torch.ones(2)
    update.step()
    b.grad = torch.ones(2)
    update.step(2.0)
    first, second, third = update.update()
    # A constant gradient of 1 makes both optimisers step by lr, and b's first step is step 1 of its own count.
    torch.testing.assert_close(first, torch.full((2,), 0.1 + 2 * 0.1), rtol=1e-4, atol=0)
    torch.testing.assert_close(second, torch.full((2,), 2 * 0.5), rtol=1e-4, atol=0)
    assert torch.equal(third, torch.zeros(2))
    assert first.requires_grad is False


def test_adamw_need_not_be_an_adam(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is not a subclass in PyTorch 2.4."""
    monkeypatch.setattr(cumulative, "Adam", type("Adam", (), {}))
    parameter = nn.Parameter(torch.zeros(1))
    parameter.grad = torch.ones(1)
    update = CumulativeUpdate(torch.optim.AdamW([parameter], lr=0.1))
    update.step()
    assert update.update()[0].item() == pytest.approx(0.1)


def test_learning_rate_may_change() -> None:
    parameter = nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([parameter], lr=0.1)
    update = CumulativeUpdate(optimizer)
    parameter.grad = torch.ones(1)
    update.step()
    optimizer.param_groups[0]["lr"] = 0.01
    update.step(3.0)
    assert update.update()[0].item() == pytest.approx(0.13)


@pytest.mark.parametrize("scale", [0.0, -1.0, float("nan"), float("inf")])
def test_refuses_scales_without_a_trace(scale: float) -> None:
    parameter = nn.Parameter(torch.zeros(1))
    parameter.grad = torch.ones(1)
    update = CumulativeUpdate(torch.optim.AdamW([parameter]))
    with pytest.raises(ValueError, match="scale should be finite and above 0"):
        update.step(scale)
    assert parameter.item() == 0
    assert update.steps == 0
    assert update.mean_scale == 1


@pytest.mark.parametrize(
    ("kind", "options", "error", "message"),
    [
        (torch.optim.RMSprop, {}, TypeError, "got RMSprop"),
        (torch.optim.NAdam, {}, TypeError, "got NAdam"),
        (torch.optim.AdamW, {"amsgrad": True}, ValueError, "amsgrad=True"),
        (torch.optim.Adam, {"capturable": True}, ValueError, "capturable=True"),
        (torch.optim.SGD, {"differentiable": True}, ValueError, "differentiable=True"),
    ],
)
def test_refuses(kind, options, error, message) -> None:
    optimizer = kind([nn.Parameter(torch.zeros(1))], **options)
    with pytest.raises(error, match=message):
        CumulativeUpdate(optimizer)
