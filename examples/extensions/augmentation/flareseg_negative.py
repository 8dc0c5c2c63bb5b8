"""An example of an augmentation: some samples are shown as their negative."""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch

from flareseg.config.choices import Augment, Augmentation
from flareseg.config.settings import Fraction


class Negative(Augmentation):
    """Shows samples as their negative: 1 - x of intensities in [0, 1]."""

    name: Literal["negative"] = "negative"
    probability: Fraction = 0.5
    """Probability of each sample to be changed."""

    def build(self, state: np.random.RandomState) -> Augment:
        """Build it; every draw comes from ``state``, so that a rerun finds it again."""

        def negative(
            images: torch.Tensor, labels: torch.Tensor, volumes: np.ndarray
        ) -> tuple[torch.Tensor, torch.Tensor]:
            chosen = torch.from_numpy(state.random_sample(len(images)) < self.probability).to(images.device)
            return torch.where(chosen.view(-1, *[1] * (images.ndim - 1)), 1 - images, images), labels

        return negative
