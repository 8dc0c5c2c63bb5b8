"""GIN beside the plain grouped-convolution form, beside a training step, and on a GPU beside its memory's speed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch
import torch.nn.functional as F
from torch.profiler import ProfilerActivity, profile

from benchmarks.measure import Row, in_turn
from benchmarks.training import Trainer, default_task
from flareseg.transforms import RandGIN, gin

CASES = [
    # shape (B, C, *spatial), largest ratio allowed
    ((8, 1, 256, 256), 0.4),
    ((32, 1, 128, 128), 0.4),
    ((2, 1, 96, 96, 96), 1.0),
]
QUICK = [((2, 1, 64, 64), 0.4)]
KERNEL_SIZES = [(3, 3, 3, 3), (1, 3, 1, 3)]
GPU_SHAPE = (32, 1, 512, 512)


def run(*, quick: bool) -> list[Row]:
    repeats = 3 if quick else 15
    rows = [
        beside_grouped(shape, sizes, target, threads, repeats)
        for shape, target in (QUICK if quick else CASES)
        for sizes in KERNEL_SIZES
        for threads in sorted({1, os.cpu_count() or 1})
    ]
    return [*rows, share_of_training(repeats), gpu(repeats)]


def beside_grouped(shape: tuple[int, ...], sizes: tuple[int, ...], target: float, threads: int, repeats: int) -> Row:
    x = torch.rand(shape)
    drawn = draw(shape, sizes)
    with torch_threads(threads):
        ours, reference = in_turn([lambda: gin(x, *drawn), lambda: grouped(x, *drawn)], repeats)
        limit = f"a plain C loop: 0.10 to 0.15; here {shares(x, drawn)}"
    return Row(
        f"GIN beside grouped convolution, kernels {'-'.join(map(str, sizes))}, {threads} thread(s)",
        "x".join(map(str, shape)),
        ours * 1e3,
        reference * 1e3,
        "ms",
        target,
        limit,
    )


def shares(x: torch.Tensor, drawn: tuple) -> str:
    """Where GIN's time goes: a C loop does all of it in one pass over the rows, and multiplies no zeros."""
    os.environ.setdefault("KINETO_LOG_LEVEL", "5")  # read when first used: no messages of its own
    gin(x, *drawn)
    with profile(activities=[ProfilerActivity.CPU]) as profiled:
        gin(x, *drawn)
    spent = {event.key: event.self_cpu_time_total for event in profiled.key_averages()}
    parts = {
        "products (half with zeros)": ("baddbmm",),
        "leaky ReLU": ("leaky",),
        "norms and mix": ("norm", "lerp", "mul"),
    }
    named = {
        name: sum(time for key, time in spent.items() if any(word in key for word in words)) / sum(spent.values())
        for name, words in parts.items()
    }
    named["copies, padding, calls"] = 1 - sum(named.values())
    return ", ".join(f"{share:.0%} {name}" for name, share in named.items())


def share_of_training(repeats: int) -> Row:
    """Draws and transform of a batch, beside a training step of the default network."""
    task = default_task()
    trainer, augment = Trainer(task), RandGIN()
    ours, step = in_turn([lambda: augment.apply_batch(trainer.images), trainer.train], 4 * repeats)
    size = "x".join(map(str, trainer.images.shape))
    drawn = draw(tuple(trainer.images.shape), KERNEL_SIZES[1])
    limit = f"{ours * 1e9 / trainer.images.numel():.0f} ns a voxel: {shares(trainer.images, drawn)}"
    return Row("GIN beside a training step of the default network", size, ours * 1e3, step * 1e3, "ms", 0.03, limit)


def gpu(repeats: int) -> Row:
    """GIN beside reading and writing the batch once for each layer."""
    name, size = "GIN on a GPU beside copying the batch once for each layer", "x".join(map(str, GPU_SHAPE))
    if not torch.cuda.is_available():
        return Row(name, size, None, None, "ms", 2.0, "not run: no CUDA device here")
    x = torch.rand(GPU_SHAPE, device="cuda")
    target = torch.empty_like(x)
    kernels, shifts, alpha = draw(GPU_SHAPE, KERNEL_SIZES[0])

    def ours() -> None:
        gin(x, kernels, shifts, alpha)
        torch.cuda.synchronize()

    def copies() -> None:
        for _ in kernels:
            target.copy_(x)
        torch.cuda.synchronize()

    taken, reference = in_turn([ours, copies], repeats)
    limit = "one grouped convolution for each layer; never profiled, no GPU was there when this was written"
    return Row(name, size, taken * 1e3, reference * 1e3, "ms", 2.0, limit)


@contextmanager
def torch_threads(threads: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@torch.no_grad()
def grouped(x: torch.Tensor, kernels: list, shifts: list, alpha: torch.Tensor) -> torch.Tensor:
    """One convolution for each layer, a group for each sample."""
    convolve = F.conv2d if x.ndim == 4 else F.conv3d
    hidden = x.reshape(1, -1, *x.shape[2:])
    for layer, (kernel, shift) in enumerate(zip(kernels, shifts, strict=True)):
        if layer:
            hidden = F.leaky_relu(hidden, 0.01)
        hidden = convolve(hidden, kernel.flatten(0, 1), shift.flatten(), padding=kernel.shape[-1] // 2, groups=len(x))
    dims = tuple(range(1, x.ndim))
    alpha = alpha.view(-1, *[1] * len(dims))
    mixed = alpha * hidden.view_as(x) + (1 - alpha) * x
    norm = torch.linalg.vector_norm
    return mixed * (norm(x, dim=dims, keepdim=True) / (norm(mixed, dim=dims, keepdim=True) + 1e-5))


def draw(shape: tuple[int, ...], sizes: tuple[int, ...]) -> tuple[list, list, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    widths = [shape[1], *[2] * (len(sizes) - 1), shape[1]]
    kernels = [
        torch.randn(shape[0], out, into, *[size] * (len(shape) - 2), generator=generator)
        for into, out, size in zip(widths, widths[1:], sizes, strict=False)
    ]
    shifts = [torch.randn(shape[0], out, generator=generator) for out in widths[1:]]
    return kernels, shifts, torch.rand(shape[0], generator=generator)
