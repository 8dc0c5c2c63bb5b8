"""The loss of a task at a site: of the labels that the site has annotated, and of no others."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor

from flareseg.config.choices import Loss, VolumeLoss
from flareseg.networks.nets.outputs import Outputs


class AnnotatedLoss(torch.nn.Module):
    """A task's loss over annotated labels.

    Args:
        settings: the loss of the task.
        annotated: indices of the labels that the site has annotated; the others get no gradient.
    """

    def __init__(self, settings: Loss, annotated: Sequence[int]) -> None:
        super().__init__()
        self.settings = settings
        self.annotated = list(annotated)
        self.loss: Callable[..., Tensor] = settings.build()

    def forward(self, outputs: Tensor | Outputs, target: Tensor) -> Tensor:
        """Compute the loss.

        Args:
            outputs: logits (B, L, *spatial), or what the network gives with them.
            target: (B, L, *spatial) of 0 and 1, any dtype.

        Returns:
            A scalar.
        """
        logits, more = outputs if isinstance(outputs, Outputs) else (outputs, {})
        loss: Callable[..., Tensor] = partial(self.loss, more=more) if self.settings.needs else self.loss
        value: Tensor = loss(logits[:, self.annotated].float(), target[:, self.annotated].float())
        return value


class AnnotatedLossOfVolume:
    """:class:`AnnotatedLoss` of one volume that comes in parts.

    Args:
        loss: gives the settings and the annotated labels.
    """

    def __init__(self, loss: AnnotatedLoss) -> None:
        self.annotated = loss.annotated
        self._loss: VolumeLoss = loss.settings.of_volume() or _MeanOverParts(loss.loss)

    def add(self, logits: Tensor, target: Tensor) -> None:
        """Add a part: (L, *spatial) each, as of :class:`AnnotatedLoss` without the batch."""
        self._loss.add(logits[self.annotated].float(), target[self.annotated].float())

    def value(self) -> float:
        """The loss of the parts so far."""
        return self._loss.value()


class _MeanOverParts:
    """The mean of a loss over the parts of a volume, weighted by their voxels."""

    def __init__(self, loss: Callable[[Tensor, Tensor], Tensor]) -> None:
        self._loss = loss
        self._sum, self._voxels = 0.0, 0

    def add(self, logits: Tensor, target: Tensor) -> None:
        self._sum += float(self._loss(logits[None], target[None])) * logits.numel()
        self._voxels += logits.numel()

    def value(self) -> float:
        return self._sum / self._voxels
