"""GIN of a task."""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
from pydantic import Field, model_validator

from flareseg.config.choices import Augment, Augmentation
from flareseg.config.settings import Fraction, FractionRange


class GIN(Augmentation):
    """Global Intensity Non-linear augmentation (Ouyang et al. 2023; FedGIN, arXiv 2508.05137)."""

    name: Literal["gin"] = "gin"
    probability: Fraction = 1.0
    """Probability of each sample to be changed."""
    kernels: Literal["per_sample", "per_batch", "per_volume"] = "per_sample"
    """Draw kernels for each sample (Ouyang et al.), once for a batch (FedGIN's code) or for each volume (2.5D)."""
    clean_share: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Share of each batch, rounded down, that stays as it is; not with kernels: per_volume."""
    mixing: FractionRange = (0.0, 1.0)
    """Range of the share of the changed image in the result."""
    kernel_sizes: Annotated[tuple[Literal[1, 3, 5], ...], Field(min_length=1)] = (1, 3)
    """Sizes drawn from for each layer."""
    hidden_channels: Annotated[int, Field(ge=1, le=16)] = 2
    """Channels between the random layers."""
    layers: Annotated[int, Field(ge=1, le=8)] = 4
    """Number of random layers."""

    @model_validator(mode="after")
    def _together(self) -> GIN:
        if self.clean_share and self.kernels == "per_volume":
            raise ValueError("clean_share cannot be kept with kernels: per_volume (a volume's slices stay together)")
        return self

    @property
    def mixes_samples(self) -> bool:
        """Who stays clean depends on who else is in the batch."""
        return self.clean_share > 0

    def build(self, state: np.random.RandomState) -> Augment:
        """Build the transform."""
        from flareseg.transforms import RandGIN

        transform = RandGIN(
            prob=self.probability,
            mode=self.kernels,
            alpha=self.mixing,
            kernel_sizes=self.kernel_sizes,
            hidden_channels=self.hidden_channels,
            layers=self.layers,
            clean_share=self.clean_share,
        ).set_random_state(state=state)
        return lambda images, labels, volumes: (transform.apply_batch(images, volumes=volumes), labels)
