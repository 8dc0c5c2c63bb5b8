"""GIN against the plain grouped-convolution form, on the CPU."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import torch
import torch.nn.functional as F
from monai.losses import DiceLoss
from monai.networks.nets import UNet

from flareseg.transforms import RandGIN, gin

CASES = [
    # shape (B, C, *spatial), largest ratio allowed
    ((8, 1, 256, 256), 0.4),
    ((32, 1, 128, 128), 0.4),
    ((2, 1, 96, 96, 96), 1.0),
]
KERNEL_SIZES = [(3, 3, 3, 3), (1, 3, 1, 3)]


def run(repeats: int = 15) -> list[dict]:
    rows = []
    for shape, target in CASES:
        for sizes in KERNEL_SIZES:
            x = torch.rand(shape)
            drawn = draw(shape, sizes)
            ours, reference = in_turn([lambda: gin(x, *drawn), lambda: grouped(x, *drawn)], repeats)  # noqa: B023
            rows.append(
                {
                    "name": f"GIN, kernels {'-'.join(map(str, sizes))}, {torch.get_num_threads()} threads",
                    "size": "x".join(map(str, shape)),
                    "ours_s": ours,
                    "reference_s": reference,
                    "ratio": ours / reference,
                    "target": target,
                    "met": ours / reference <= target,
                }
            )
    return [*rows, share_of_training(repeats)]


def share_of_training(repeats: int) -> dict:
    """Draws and transform of a batch, beside a training step of the default network."""
    shape = (8, 1, 112, 96)
    x, y = torch.rand(shape), (torch.rand(shape) > 0.7).float()
    net, loss, augment = UNet(2, 1, 1, (16, 32, 64, 128), (2, 2, 2), num_res_units=2), DiceLoss(sigmoid=True), RandGIN()
    optimizer = torch.optim.AdamW(net.parameters())

    def train() -> None:
        optimizer.zero_grad()
        loss(net(x), y).backward()
        optimizer.step()

    ours, step = in_turn([lambda: augment.apply_batch(x), train], repeats)
    return {
        "name": "GIN beside a training step",
        "size": "x".join(map(str, shape)),
        "ours_s": ours,
        "reference_s": step,
        "ratio": ours / step,
        "target": 0.03,
        "met": ours / step <= 0.03,
    }


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


def in_turn(tasks: list[Callable[[], object]], repeats: int) -> list[float]:
    """Median seconds of each task, the tasks run in alternation after one round to warm up."""
    times: list[list[float]] = [[] for _ in tasks]
    for repeat in range(repeats + 1):
        for task, taken in zip(tasks, times, strict=True):
            start = time.perf_counter()
            task()
            if repeat:
                taken.append(time.perf_counter() - start)
    return [statistics.median(taken) for taken in times]


if __name__ == "__main__":
    for row in run():
        print("{name:38} {size:14} {ours_s:8.4f} s {reference_s:8.4f} s {ratio:6.3f} (target {target})".format(**row))
