"""Semantic-aware random convolution."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
from pydantic import Field

from flareseg.config.choices import Augment, Augmentation
from flareseg.config.settings import Fraction, FractionRange

if TYPE_CHECKING:
    from torch import Tensor


class SRC(Augmentation):
    """Random convolutions drawn for each label and the background, blended back by region (SRCSM, arXiv 2512.01510)."""

    name: Literal["src"] = "src"
    probability: Fraction = 0.5
    """Probability of each sample to be changed."""
    mixing: FractionRange = (0.0, 1.0)
    """Range of the share of the changed image in the result, drawn for each region."""
    kernel_sizes: Annotated[tuple[Literal[1, 3, 5], ...], Field(min_length=1)] = (1, 3)
    """Sizes drawn from for each layer."""
    hidden_channels: Annotated[int, Field(ge=1, le=16)] = 2
    """Channels between the random layers."""
    layers: Annotated[int, Field(ge=1, le=8)] = 4
    """Number of random layers."""

    def build(self, state: np.random.RandomState) -> Augment:
        """Build it."""
        import torch

        from flareseg.transforms.by_region import by_region
        from flareseg.transforms.rand_gin import RandGIN

        gin = RandGIN(
            alpha=self.mixing,
            kernel_sizes=self.kernel_sizes,
            hidden_channels=self.hidden_channels,
            layers=self.layers,
        ).set_random_state(state=state)

        def augment(images: Tensor, labels: Tensor, volumes: np.ndarray) -> tuple[Tensor, Tensor]:
            chosen = state.random_sample(len(images)) < self.probability
            changed = [
                by_region(image, label, gin.apply_batch) if wanted else image
                for image, label, wanted in zip(images, labels, chosen, strict=True)
            ]
            return torch.stack(changed), labels

        return augment
