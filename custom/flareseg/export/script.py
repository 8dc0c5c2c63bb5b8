"""A network as TorchScript, and proof that what was exported says the same."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable

import torch

from flareseg.errors import ErrorCode, FlaresegError
from flareseg.learning.trained import Trained

TOLERANCE = 1e-4
"""Largest difference of any logit."""


@torch.no_grad()
def torch_script(model: Trained) -> bytes:
    """Trace the network, and compare what was traced with the network on two sizes of input.

    Raises:
        FlaresegError: the traced network says something else, or takes one size alone.
    """

    def write(sample: torch.Tensor) -> bytes:
        packed = io.BytesIO()
        torch.jit.save(torch.jit.trace(model.network, sample, check_trace=False), packed)
        return packed.getvalue()

    def load(written: bytes) -> Callable[[torch.Tensor], torch.Tensor]:
        return torch.jit.load(io.BytesIO(written))

    return exported(model, "TorchScript", write, load)


@torch.no_grad()
def exported(
    model: Trained,
    form: str,
    write: Callable[[torch.Tensor], bytes],
    load: Callable[[bytes], Callable[[torch.Tensor], torch.Tensor]],
) -> bytes:
    """Write a network in another form, load it again, and compare its logits with the network's own.

    Args:
        model: the network and its task.
        form: name of the form, for errors.
        write: gives the network in that form, by the way of an image, float32 (2, C, spatial) of the task's patch.
        load: from what was written to what gives logits.

    Raises:
        FlaresegError: a logit differs by more than :data:`TOLERANCE` or is not a number, here or on images that are
            larger along every axis, or the network cannot be written so that it takes them.
    """
    task = model.task
    generator = torch.Generator().manual_seed(0)
    larger = [size + task.network.divisor for size in task.patch]
    samples = [torch.rand(2, task.in_channels, *size, generator=generator) for size in (task.patch, larger)]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the tracer, on what the comparison below shows to be harmless
            written = write(samples[0])
            run = load(written)
            differences = [float((run(sample) - model.network(sample)).abs().max()) for sample in samples]
    except Exception as error:  # tracers and runtimes raise many kinds, most at a size that the trace has fixed
        reason = " ".join(str(error).split())[:200]
        raise _cannot(model, f"as {form} it fails where images are not of one size ({reason})") from None
    if not all(difference <= TOLERANCE for difference in differences):
        raise _cannot(model, f"as {form} its logits differ by {max(differences):.2g}")
    return written


def _cannot(model: Trained, reason: str) -> FlaresegError:
    return FlaresegError(
        f"The network {model.task.network.name} cannot be exported: {reason}.",
        "Use the model file with flareseg predict.",
        code=ErrorCode.BAD_MODEL,
    )
