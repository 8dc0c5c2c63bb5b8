"""FedGS at a site: the scaled sum of the optimiser's steps, kept beside plain local training."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.optim import SGD, Adam, AdamW, Optimizer

# Elements worked on at a time: bounds the scratch memory, and on a CPU keeps it in the cache.
_CPU_CHUNK = 1 << 16
_GPU_CHUNK = 1 << 22


class CumulativeUpdate:
    r"""Steps an optimiser and accumulates :math:`G \leftarrow G + \eta_t d_t` beside it.

    :math:`d_t` is the optimiser's own step, parameters before minus after, without decoupled weight decay (Schutte et
    al., arXiv 2408.11701). It is taken from the optimiser's moments, not from a difference of parameters, which would
    lose digits and cost a second copy. For Adam and AdamW at step t

    .. math:: d_t = \frac{lr}{1 - \beta_1^t} \, m_t \Big/ \Big( \sqrt{v_t / (1 - \beta_2^t)} + \epsilon \Big),

    for SGD lr times its momentum buffer or, with Nesterov momentum, lr·(gradient + momentum·buffer). The coupled
    weight decay of Adam and SGD is part of their gradient and so of :math:`d_t`. A parameter without gradient in a step
    is not moved, and adds nothing.

    The memory is one copy of the parameters (G, in their dtype and on their device), and a small scratch.

    Args:
        optimizer: an Adam, AdamW or SGD; fresh, for the sum of a round. Its learning rate may change between steps.

    Raises:
        TypeError: for any other optimiser, subclasses of these included.
        ValueError: for the options ``amsgrad``, ``capturable``, ``differentiable``.

    Example:
        With η of 1 and 2, two steps of SGD with unit gradients move the weight by 2 · 0.1, and G counts 3 · 0.1.

        >>> weight = torch.nn.Parameter(torch.tensor([1.0]))
        >>> cumulative = CumulativeUpdate(SGD([weight], lr=0.1))
        >>> for scale in (1.0, 2.0):
        ...     weight.grad = torch.ones_like(weight)
        ...     cumulative.step(scale)
        >>> weight.data, cumulative.update(), cumulative.mean_scale
        (tensor([0.8000]), [tensor([0.3000])], 1.5)
    """

    def __init__(self, optimizer: Optimizer) -> None:
        if type(optimizer) not in (Adam, AdamW, SGD):
            raise TypeError(
                f"optimizer should be an Adam, AdamW or SGD of torch.optim, got {type(optimizer).__name__}."
            )
        for group in optimizer.param_groups:
            for option in ("amsgrad", "capturable", "differentiable"):
                if group.get(option):
                    raise ValueError(f"optimizer should not have {option}=True: its step cannot be accumulated.")
        self._optimizer = optimizer
        self._sums = {p: torch.zeros_like(p, requires_grad=False) for p in self._parameters()}
        self._steps = 0
        self._scales = 0.0

    @property
    def steps(self) -> int:
        """Number of steps taken."""
        return self._steps

    @property
    def mean_scale(self) -> float:
        """Mean η over the steps taken, 1 before the first: what ``normalize: mean`` divides by."""
        return self._scales / self._steps if self._steps else 1.0

    @torch.no_grad()
    def step(self, scale: float = 1.0) -> None:
        """Step the optimiser and add its step, times ``scale``, to the sum.

        Args:
            scale: η of the batch, finite, above 0.

        Raises:
            ValueError: when the scale is out of range; the optimiser is not stepped then.
        """
        if not (math.isfinite(scale) and scale > 0):
            raise ValueError(f"scale should be finite and above 0, got {scale}.")
        moved = [[p for p in group["params"] if p.grad is not None] for group in self._optimizer.param_groups]
        adaptive = isinstance(self._optimizer, (Adam, AdamW))  # in older PyTorch AdamW is no Adam
        if not adaptive:
            # SGD's decay depends on the parameters as they were before the step.
            for group, parameters in zip(self._optimizer.param_groups, moved, strict=True):
                self._add_gradients(group, parameters, scale)
        self._optimizer.step()
        for group, parameters in zip(self._optimizer.param_groups, moved, strict=True):
            if adaptive:
                self._add_adaptive(group, parameters, scale)
            else:
                self._add_momentum(group, parameters, scale)
        self._steps += 1
        self._scales += scale

    def update(self) -> list[Tensor]:
        """G: one tensor for each parameter, in the optimiser's order, with its shape, dtype and device.

        These are the accumulators themselves; a further step changes them.
        """
        return [self._sums[p] for p in self._parameters()]

    def _parameters(self) -> Iterator[Tensor]:
        for group in self._optimizer.param_groups:
            yield from group["params"]

    def _add_gradients(self, group: dict[str, Any], parameters: list[Tensor], scale: float) -> None:
        if not parameters or (group["momentum"] and not group["nesterov"]):
            return
        rate = float(group["lr"]) * scale
        sums = [self._sums[p] for p in parameters]
        gradients = [p.grad for p in parameters if p.grad is not None]
        torch._foreach_add_(sums, gradients, alpha=-rate if group["maximize"] else rate)
        if group["weight_decay"]:
            torch._foreach_add_(sums, parameters, alpha=rate * group["weight_decay"])

    def _add_momentum(self, group: dict[str, Any], parameters: list[Tensor], scale: float) -> None:
        if not parameters or not group["momentum"]:
            return
        rate = float(group["lr"]) * scale * (group["momentum"] if group["nesterov"] else 1.0)
        buffers = [self._optimizer.state[p]["momentum_buffer"] for p in parameters]
        torch._foreach_add_([self._sums[p] for p in parameters], buffers, alpha=rate)

    def _add_adaptive(self, group: dict[str, Any], parameters: list[Tensor], scale: float) -> None:
        beta1, beta2 = (float(beta) for beta in group["betas"])
        rate, eps = float(group["lr"]) * scale, float(group["eps"])
        batch = _Batch([], [], [], [], [])
        waiting = 0
        for parameter in parameters:
            state = self._optimizer.state[parameter]
            steps = float(state["step"])
            root = math.sqrt(1 - beta2**steps)
            for total, mean, square in _chunks(self._sums[parameter], state["exp_avg"], state["exp_avg_sq"]):
                if waiting + total.numel() > _chunk_size(total):
                    batch.accumulate(eps)
                    batch, waiting = _Batch([], [], [], [], []), 0
                batch.sums.append(total)
                batch.means.append(mean)
                batch.squares.append(square)
                batch.roots.append(root)
                batch.rates.append(rate / (1 - beta1**steps))
                waiting += total.numel()
        batch.accumulate(eps)


class _Batch(NamedTuple):
    """Tensors small enough together to be worked on at once."""

    sums: list[Tensor]
    means: list[Tensor]
    squares: list[Tensor]
    roots: list[float]  # of the bias correction of the squares
    rates: list[float]

    def accumulate(self, eps: float) -> None:
        """Add the steps, by torch's own order of operations: where steps cancel, another would show."""
        if self.sums:
            denominators = torch._foreach_sqrt(self.squares)
            torch._foreach_div_(denominators, self.roots)
            torch._foreach_add_(denominators, eps)
            torch._foreach_addcdiv_(self.sums, self.means, denominators, self.rates)


def _chunk_size(tensor: Tensor) -> int:
    return _CPU_CHUNK if tensor.device.type == "cpu" else _GPU_CHUNK


def _chunks(*tensors: Tensor) -> Iterator[tuple[Tensor, ...]]:
    """Tensors of equal layout, in flat pieces small enough for the scratch."""
    size = _chunk_size(tensors[0])
    if tensors[0].numel() <= size:
        yield tensors
        return
    flat = [t.as_strided((t.numel(),), (1,)) for t in tensors]
    yield from zip(*(t.split(size) for t in flat), strict=True)
