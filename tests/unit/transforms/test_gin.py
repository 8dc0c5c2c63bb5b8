from __future__ import annotations

import importlib
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from flareseg.transforms import gin
from flareseg.transforms.gin import _grouped

GOLDEN = Path(__file__).parents[2] / "golden"
SHAPES = [
    # (B, C, *spatial)
    ((3, 1, 17, 23), (3, 3, 3, 3)),
    ((2, 1, 8, 8), (1, 3, 1, 3)),
    ((2, 3, 9, 5), (3, 1, 5, 3)),
    ((1, 1, 1, 1), (3, 3, 3, 3)),
    ((5, 1, 40, 30), (3, 3, 1, 3)),
    ((2, 1, 7, 6, 5), (3, 3, 3, 3)),
    ((2, 2, 5, 9, 4), (1, 3, 5, 1)),
    ((3, 1, 5, 12, 11), (3, 3, 1, 3)),
]


def draws(
    shape: tuple[int, ...], sizes: tuple[int, ...], seed: int = 0, networks: int | None = None
) -> tuple[list[torch.Tensor], list[torch.Tensor], torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    widths = [shape[1], *[2] * (len(sizes) - 1), shape[1]]
    networks = networks or shape[0]
    kernels = [
        torch.randn(networks, out, into, *[size] * (len(shape) - 2), generator=generator)
        for into, out, size in zip(widths, widths[1:], sizes, strict=False)
    ]
    shifts = [torch.randn(networks, out, generator=generator) for out in widths[1:]]
    return kernels, shifts, torch.rand(shape[0], generator=generator)


def oracle(x: torch.Tensor, kernels: list, shifts: list, alpha: torch.Tensor) -> torch.Tensor:
    """The formula, sample by sample, in float64."""
    out = []
    for b, sample in enumerate(x.double()):
        hidden = sample[None]
        for layer, (kernel, shift) in enumerate(zip(kernels, shifts, strict=True)):
            own = b if kernel.shape[0] > 1 else 0
            if layer:
                hidden = F.leaky_relu(hidden, 0.01)
            convolve = F.conv2d if x.ndim == 4 else F.conv3d
            hidden = convolve(hidden, kernel[own].double(), shift[own].double(), padding="same")
        mixed = alpha[b].double() * hidden[0] + (1 - alpha[b].double()) * sample
        out.append(mixed * sample.norm() / (mixed.norm() + 1e-5))
    return torch.stack(out)


def error(found: torch.Tensor, expected: torch.Tensor) -> float:
    return float((found.double() - expected).norm() / expected.norm())


@pytest.mark.parametrize("dims", [2, 3])
def test_golden(dims: int) -> None:
    golden = {k: v for k, v in np.load(GOLDEN / f"gin_{dims}d.npz").items() if k != "config"}
    arrays = {name: torch.from_numpy(array) for name, array in golden.items()}
    kernels = [arrays[f"layer{layer}/kernel"] for layer in range(4)]
    shifts = [arrays[f"layer{layer}/shift"] for layer in range(4)]
    assert error(gin(arrays["x"], kernels, shifts, arrays["alpha"]), arrays["y"].double()) < 1e-5


@pytest.mark.parametrize("cached_elements", [1 << 18, 3000, 100])  # all samples at once, some, less than one
@pytest.mark.parametrize(("shape", "sizes"), SHAPES)
def test_equals_a_loop_over_samples(
    shape: tuple[int, ...], sizes: tuple[int, ...], cached_elements: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The package's attribute of this name is the function.
    monkeypatch.setattr(importlib.import_module("flareseg.transforms.gin"), "_CACHED_ELEMENTS", cached_elements)
    x = torch.rand(shape)
    before = x.clone()
    drawn = draws(shape, sizes)
    found = gin(x, *drawn)
    assert torch.equal(x, before)
    assert found.shape == x.shape
    assert error(found, oracle(x, *drawn)) < 2e-6


@pytest.mark.parametrize(("shape", "sizes"), SHAPES)
def test_form_for_accelerators_agrees(shape: tuple[int, ...], sizes: tuple[int, ...]) -> None:
    x = torch.rand(shape)
    drawn = draws(shape, sizes)
    found = torch.empty_like(x)
    _grouped(x, *drawn, found)
    assert error(found, oracle(x, *drawn)) < 2e-6


def test_one_kernel_for_all_samples() -> None:
    shape = (3, 1, 16, 16)
    kernels, shifts, alpha = draws(shape, (3, 3, 1, 3), networks=1)
    x = torch.rand(1, 1, 16, 16).expand(shape)
    out = gin(x, kernels, shifts, torch.full((3,), 0.7))
    assert torch.equal(out[0], out[1])
    each = gin(x, [k.expand(3, *k.shape[1:]) for k in kernels], [s.expand(3, -1) for s in shifts], alpha)
    assert error(gin(x, kernels, shifts, alpha), each.double()) < 1e-6


def test_anisotropic_kernels_and_other_layouts() -> None:
    x = torch.rand(2, 1, 6, 12, 10).permute(0, 1, 4, 3, 2)
    kernels = [torch.randn(2, 2, 1, 1, 3, 5), torch.randn(2, 1, 2, 3, 1, 1)]
    shifts = [torch.randn(2, 2), torch.randn(2, 1)]
    alpha = torch.rand(2)
    assert error(gin(x, kernels, shifts, alpha), oracle(x, kernels, shifts, alpha)) < 2e-6


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    dims=st.sampled_from([2, 3]),
    dtype=st.sampled_from([torch.float16, torch.bfloat16, torch.float32, torch.float64]),
    fill=st.sampled_from([None, 0.0, 1.0, -3.0, 1e-6, 200.0]),
)
def test_keeps_the_norm_and_is_finite(seed: int, dims: int, dtype: torch.dtype, fill: float | None) -> None:
    shape = (2, 1, *[8, 7, 6][:dims])
    x = torch.randn(shape, generator=torch.Generator().manual_seed(seed)) if fill is None else torch.full(shape, fill)
    x = x.to(dtype)
    out = gin(x, *draws(shape, (3, 1, 3, 3), seed))
    assert out.dtype == dtype
    assert bool(out.isfinite().all())
    before, after = (t.double().flatten(1).norm(dim=1) for t in (x, out))
    # The 1e-5 beside the mixed norm takes a share that only images darker than it notice.
    assert bool((after <= before * 1.01 + 1e-6).all())
    if fill not in (0.0, 1e-6):
        assert torch.allclose(after, before, rtol=1e-2 if dtype in (torch.float16, torch.bfloat16) else 1e-3)


def test_float16_saturates() -> None:
    x = torch.full((1, 1, 64, 64), 60000.0, dtype=torch.float16)
    out = gin(x, [torch.tensor([[[[1.0, 0, 0], [0, 0, 0], [0, 0, -1.0]]]])[None]], [torch.zeros(1, 1)], torch.ones(1))
    assert bool(out.isfinite().all())


def test_no_gradient_and_no_autocast() -> None:
    shape = (2, 1, 16, 16)
    x = torch.rand(shape, requires_grad=True)
    drawn = draws(shape, (3, 3, 3, 3))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        out = gin(x, *drawn)
    assert not out.requires_grad
    assert error(out, oracle(x.detach(), *drawn)) < 2e-6


K, S, A = draws((2, 1, 8, 8), (3, 3))
REFUSED = [
    (torch.zeros(2, 1, 8, 8, dtype=torch.int32), K, S, A, TypeError, "x should be of a floating-point type"),
    (torch.zeros(2, 1, 8), K, S, A, ValueError, r"got \(2, 1, 8\)"),
    (torch.zeros(2, 1, 8, 8), K, S[:1], A, ValueError, "got 2 and 1"),
    (torch.zeros(2, 1, 8, 8), [], [], A, ValueError, "got 0 and 0"),
    (torch.zeros(3, 1, 8, 8), K, S, A, ValueError, r"kernels\[0\] should have shape \(3 or 1"),
    (torch.zeros(2, 2, 8, 8), K, S, A, ValueError, r"kernels\[0\]"),
    (torch.zeros(2, 1, 8, 8), [torch.zeros(2, 1, 1, 2, 2)], [torch.zeros(2, 1)], A, ValueError, "odd"),
    (torch.zeros(2, 1, 8, 8), K, [S[0], S[0]], A, ValueError, r"shifts\[1\]"),
    (torch.zeros(2, 1, 8, 8), K[:1], S[:1], A, ValueError, "as many outputs"),
    (torch.zeros(2, 1, 8, 8), K, S, torch.zeros(3), ValueError, r"alpha should have shape \(2,\)"),
]


@pytest.mark.parametrize(("x", "kernels", "shifts", "alpha", "kind", "message"), REFUSED)
def test_refuses(x, kernels, shifts, alpha, kind, message) -> None:
    with pytest.raises(kind, match=message):
        gin(x, kernels, shifts, alpha)
