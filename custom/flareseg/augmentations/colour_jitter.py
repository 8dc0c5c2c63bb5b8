"""Colour jitter of frames."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
from pydantic import Field

from flareseg.config.choices import Augment, Augmentation
from flareseg.config.settings import Fraction

if TYPE_CHECKING:
    from torch import Tensor

Strength = Annotated[float, Field(ge=0, lt=1)]


class ColourJitter(Augmentation):
    """Changes brightness, contrast, saturation and hue of RGB frames, in an order drawn for each."""

    channels = 3

    name: Literal["colour_jitter"] = "colour_jitter"
    probability: Fraction = 0.3
    """Probability of each sample to be changed."""
    brightness: Strength = 0.2
    """Factor between one minus and one plus this."""
    contrast: Strength = 0.2
    """The same for the distance to the mean grey."""
    saturation: Strength = 0.2
    """The same for the distance to each pixel's grey."""
    hue: Annotated[float, Field(ge=0, le=0.5)] = 0.2
    """Turn of the colour circle to either side, as a share of it."""

    def build(self, state: np.random.RandomState) -> Augment:
        """Build it."""
        from flareseg.transforms.colour import jitter

        def augment(images: Tensor, labels: Tensor, volumes: np.ndarray) -> tuple[Tensor, Tensor]:
            result = images.clone()
            for number in np.flatnonzero(state.random_sample(len(images)) < self.probability):
                strengths = (self.brightness, self.contrast, self.saturation)
                factors = tuple(float(state.uniform(1 - width, 1 + width)) for width in strengths)
                turn = float(state.uniform(-self.hue, self.hue))
                result[number] = jitter(images[number], factors, turn, state.permutation(4).tolist())
            return result, labels

        return augment
