"""Differentially private gradients: DP-SGD with the patient as its unit (Abadi et al., CCS 2016).

In each step every training patient takes part with probability q, by a coin of its own, and gives one sample. The
gradient of each sample is clipped to the norm C, the sum gets Gaussian noise of standard deviation σC, and is divided
by the expected number of patients. docs/privacy.md has the proof.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from scipy.special import ndtri
from torch.func import functional_call, grad, vmap

from flareseg.data.sampling import Batch, PatchSampler
from flareseg.privacy.opacus import opacus
from flareseg.privacy.scopes import DifferentialPrivacy

LossFunction = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


class PoissonSampler:
    """Draws batches of patients: each by a coin of its own, one sample of one of its volumes.

    Which sample a patient gives depends on that patient's own volumes alone, so sampling around labels is no release.

    Args:
        sampler: cuts samples out of the volumes.
        patients: for each patient the numbers of its volumes.
    """

    def __init__(self, sampler: PatchSampler, patients: Sequence[Sequence[int]]) -> None:
        self.sampler = sampler
        self.patients = patients

    def expected(self, size: int) -> float:
        """Expected number of patients in a batch."""
        return sample_rate(size, len(self.patients)) * len(self.patients)

    def draw(self, size: int, rng: np.random.Generator) -> Batch:
        """Draw a batch of ``size`` patients in expectation, all of them where there are fewer; it may be empty."""
        rate = sample_rate(size, len(self.patients))
        taken = [volumes for volumes in self.patients if rng.random() < rate]
        return self.sampler.cut([int(volumes[int(rng.integers(len(volumes)))]) for volumes in taken], rng)


def sample_rate(batch_size: int, patients: int) -> float:
    """q: the probability of each patient to take part in a step."""
    return min(1.0, batch_size / patients)


class PrivateGradients:
    """Puts a private gradient of the mean loss in the place of the plain one.

    Args:
        network: the network; normalisation must not mix samples.
        optimizer: of the network's parameters; steps on what is left in ``.grad``.
        loss: loss of a batch of one.
        scope: clipping bound and noise.
        expected: expected number of samples in a batch; so many are computed at once.
    """

    def __init__(
        self,
        network: torch.nn.Module,
        optimizer: torch.optim.Optimizer,
        loss: LossFunction,
        scope: DifferentialPrivacy,
        expected: float,
    ) -> None:
        self.network = network
        self.loss = loss
        self.chunk = math.ceil(expected)
        self._optimizer = _dp_optimizer(
            optimizer,
            noise_multiplier=scope.noise_multiplier,
            max_grad_norm=scope.max_grad_norm,
            expected_batch_size=expected,
        )

    def backward(self, images: torch.Tensor, target: torch.Tensor) -> None:
        """Set ``.grad`` of each parameter: clipped, summed, noised, divided by the expected number.

        Args:
            images: (B, C, *spatial); B may be 0, and then the gradient is noise alone.
            target: (B, L, *spatial).
        """
        self._optimizer.zero_grad(set_to_none=True)
        samples = per_sample_gradients(self.network, self.loss, images, target, self.chunk)
        for name, sample in samples.items():
            parameter = self.network.get_parameter(name)
            parameter.grad_sample = sample  # type: ignore[attr-defined]  # where opacus looks for it
        self._optimizer.pre_step()
        for parameter in self.network.parameters():
            parameter.grad_sample = parameter.summed_grad = None  # type: ignore[attr-defined]


def per_sample_gradients(
    network: torch.nn.Module, loss: LossFunction, images: torch.Tensor, target: torch.Tensor, chunk: int
) -> dict[str, torch.Tensor]:
    """Gradient of the loss of each sample, as if it were a batch of its own: (B, *parameter) by name.

    A sample whose gradient is not finite gives zero: one patient's image can neither void the bound nor be
    distinguished from the outcome.
    """
    parameters = {name: value.detach() for name, value in network.named_parameters() if value.requires_grad}
    buffers = dict(network.named_buffers())
    if not len(images):
        return {name: value.new_zeros((0, *value.shape)) for name, value in parameters.items()}

    def of_one(parameters: dict[str, torch.Tensor], image: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
        return loss(functional_call(network, (parameters, buffers), (image[None],)), label[None])

    samples = vmap(grad(of_one), in_dims=(None, 0, 0), randomness="different", chunk_size=chunk)(
        parameters, images, target
    )
    finite = torch.stack([value.flatten(1).isfinite().all(1) for value in samples.values()]).all(0)
    return {name: torch.where(finite.view(-1, *[1] * (value.dim() - 1)), value, 0.0) for name, value in samples.items()}


def secret_normal(count: int) -> np.ndarray:
    """Numbers from N(0, 1), float64, out of the operating system's entropy.

    PyTorch's generators keep 32 bits of a seed on the CPU: whoever has an update could try them all and take the noise
    off. The normal quantile of a uniform number of 52 bits reaches 8.1 standard deviations.
    """
    uniform = np.frombuffer(os.urandom(8 * count), dtype=np.uint64) >> np.uint64(12)
    normal: np.ndarray = ndtri((uniform.astype(np.float64) + 0.5) * 2.0**-52)
    return normal


def _dp_optimizer(optimizer: torch.optim.Optimizer, **settings: Any) -> Any:
    """Wrap an optimizer in opacus' DPOptimizer, which clips and sums, with noise of our own source."""

    class SecretNoiseOptimizer(opacus("optimizers").DPOptimizer):  # type: ignore[misc]
        def add_noise(self) -> None:
            scale = self.noise_multiplier * self.max_grad_norm
            for parameter in self.params:
                noise = torch.from_numpy(scale * secret_normal(parameter.numel())).view_as(parameter)
                total = parameter.summed_grad.double() + noise.to(parameter.device)
                parameter.grad = total.to(parameter.dtype)

    return SecretNoiseOptimizer(optimizer, loss_reduction="mean", **settings)
