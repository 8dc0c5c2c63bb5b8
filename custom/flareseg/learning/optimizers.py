"""PyTorch's optimisers that a task may name; FedGS reads the steps of these out of their moments."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from flareseg.config.choices import Optimizer

if TYPE_CHECKING:
    import torch


class AdamW(Optimizer):
    """Adam with decoupled weight decay."""

    name: Literal["adamw"] = "adamw"

    def build(self, parameters: Iterable[torch.nn.Parameter], lr: float) -> torch.optim.Optimizer:
        """Build PyTorch's."""
        from torch.optim import AdamW

        return AdamW(parameters, lr=lr, weight_decay=self.weight_decay)


class Adam(Optimizer):
    """Adam; weight decay is part of the gradient."""

    name: Literal["adam"] = "adam"

    def build(self, parameters: Iterable[torch.nn.Parameter], lr: float) -> torch.optim.Optimizer:
        """Build PyTorch's."""
        from torch.optim import Adam

        return Adam(parameters, lr=lr, weight_decay=self.weight_decay)


class SGD(Optimizer):
    """Stochastic gradient descent with momentum; weight decay is part of the gradient."""

    name: Literal["sgd"] = "sgd"
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.9
    """Share of the step before in each step."""

    def build(self, parameters: Iterable[torch.nn.Parameter], lr: float) -> torch.optim.Optimizer:
        """Build PyTorch's."""
        from torch.optim import SGD

        return SGD(parameters, lr=lr, momentum=self.momentum, weight_decay=self.weight_decay)
