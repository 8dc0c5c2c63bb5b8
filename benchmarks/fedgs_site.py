"""FedGS at a site: its share of a training step over plain AdamW, and its memory."""

from __future__ import annotations

import sys

import numpy as np
import torch

from benchmarks.measure import Row, in_child, in_turn, peak_memory
from benchmarks.training import Trainer, default_task
from flareseg.fedgs import CumulativeUpdate
from flareseg.learning.gradient_scale import GradientScale

TENSORS, SIZE = 10, 3_000_000  # parameters whose memory is watched


def run(*, quick: bool) -> list[Row]:
    return [
        *(step(small, target, 3 if quick else 60) for small, target in ((False, 1.03), (True, 1.06))),
        memory(1_000_000 if quick else SIZE),
    ]


def step(small: bool, target: float, repeats: int) -> Row:
    """A step with the batch's η and the accumulation, beside plain AdamW."""
    task = default_task()
    plain, watched = Trainer(task, small=small), Trainer(task, small=small)
    cumulative, scale = CumulativeUpdate(watched.optimizer), GradientScale(task)
    spacing = np.ones((task.training.batch_size, 3), dtype=np.float32)
    annotated = range(len(task.labels))
    eta = scale(watched.labels, spacing, annotated)
    if (eta > 1) != small:
        raise RuntimeError(f"η should be above 1 on small targets alone, got {eta}.")

    def ours() -> None:
        watched.train(lambda: cumulative.step(scale(watched.labels, spacing, annotated)))

    taken, reference = in_turn([ours, plain.train], repeats)
    sizes, steps, optimizer = in_turn(
        [lambda: scale(watched.labels, spacing, annotated), cumulative.step, plain.optimizer.step], repeats
    )
    limit = (
        f"by themselves the sizes of the targets take {sizes / reference:.1%} of a step "
        f"and the sum {(steps - optimizer) / reference:.1%}; the rest is noise, or the cache that they turn over"
    )
    name = f"FedGS at a site: a step on a batch {'with' if small else 'without'} small targets beside plain AdamW"
    return Row(name, "x".join(map(str, plain.images.shape)), taken * 1e3, reference * 1e3, "ms", target, limit)


def memory(size: int) -> Row:
    """Peak memory that the accumulation adds, in copies of the parameters."""
    plain, watched = (in_child("benchmarks.fedgs_site", kind, size) for kind in ("plain", "watched"))
    model = TENSORS * size * 4 / 1e6
    return Row(
        "FedGS at a site: peak memory added beside a copy of the parameters",
        f"{TENSORS * size / 1e6:.0f} M",
        watched - plain,
        model,
        "MB",
        1.0 + 1 / model,
        "target: one copy, and 1 MB of scratch",
    )


def peak(kind: str, size: int) -> float:
    """Peak resident memory (MB) of this process after a few steps of AdamW, with or without the accumulation."""
    torch.set_num_threads(1)
    parameters = [torch.nn.Parameter(torch.ones(size)) for _ in range(TENSORS)]
    optimizer = torch.optim.AdamW(parameters)
    cumulative = CumulativeUpdate(optimizer) if kind == "watched" else None
    for _ in range(3):
        for parameter in parameters:
            parameter.grad = torch.ones(size)
        if cumulative is None:
            optimizer.step()
        else:
            cumulative.step(2.0)
    return peak_memory() / 1e6


if __name__ == "__main__":
    print(peak(sys.argv[1], int(sys.argv[2])))
