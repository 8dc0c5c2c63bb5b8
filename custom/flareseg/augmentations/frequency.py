"""Mixing of amplitude spectra."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
from pydantic import Field

from flareseg.config.choices import Augment, Augmentation
from flareseg.config.settings import Fraction, FractionRange

if TYPE_CHECKING:
    from torch import Tensor


class Frequency(Augmentation):
    """Mixes the low frequencies' amplitudes of a sample with those of another of its batch; its phases stay."""

    name: Literal["frequency"] = "frequency"
    probability: Fraction = 0.5
    """Probability of each sample to be changed."""
    band: Annotated[float, Field(gt=0, le=1)] = 0.1
    """Share of each axis of the spectrum, from its middle, that is mixed."""
    mixing: FractionRange = (0.0, 1.0)
    """Range of the share of the other sample's amplitude."""

    @property
    def mixes_samples(self) -> bool:
        """Amplitudes come from another sample."""
        return True

    def build(self, state: np.random.RandomState) -> Augment:
        """Build it."""
        import torch

        from flareseg.transforms.spectrum import mix_amplitudes

        def augment(images: Tensor, labels: Tensor, volumes: np.ndarray) -> tuple[Tensor, Tensor]:
            chosen = state.random_sample(len(images)) < self.probability
            share = np.where(chosen, state.uniform(*self.mixing, size=len(images)), 0.0)
            partner = torch.from_numpy(state.permutation(len(images))).to(images.device)
            mixed = mix_amplitudes(images, images[partner], torch.from_numpy(share).to(images), self.band)
            kept = torch.from_numpy(~chosen).to(images.device).view(-1, *[1] * (images.ndim - 1))
            return torch.where(kept, images, mixed), labels

        return augment
