"""A network as TorchScript, and proof that it says the same."""

from __future__ import annotations

import io
import warnings

import torch

from flareseg.errors import ErrorCode, FlaresegError
from flareseg.learning.trained import Trained

TOLERANCE = 1e-4
"""Largest difference of any logit."""


@torch.no_grad()
def torch_script(model: Trained) -> bytes:
    """Trace the network, and compare what was traced with the network on two sizes of input.

    Raises:
        FlaresegError: the traced network says something else.
    """
    task = model.task
    generator = torch.Generator().manual_seed(0)
    larger = [size + task.network.divisor for size in task.patch]
    samples = [torch.rand(2, task.in_channels, *size, generator=generator) for size in (task.patch, larger)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the tracer, on what the comparison below shows to be harmless
        traced = torch.jit.trace(model.network, samples[0], check_trace=False)
    packed = io.BytesIO()
    torch.jit.save(traced, packed)
    packed.seek(0)
    loaded = torch.jit.load(packed)
    for sample in samples:
        difference = float((loaded(sample) - model.network(sample)).abs().max())
        if not difference <= TOLERANCE:
            raise FlaresegError(
                f"The network {task.network.name} cannot be exported: as TorchScript its logits differ by "
                f"{difference:.2g} at {tuple(sample.shape)}.",
                "Use the model file with flareseg predict.",
                code=ErrorCode.BAD_MODEL,
            )
    return packed.getvalue()
