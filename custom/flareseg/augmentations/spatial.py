"""Augmentations that move voxels, and labels with them, by MONAI."""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal

from pydantic import Field

from flareseg.augmentations.per_sample import BOTH, PerSample
from flareseg.config.settings import Fraction, PositiveRange, Range


def _modes(spatial_dims: int) -> tuple[str, str]:
    """How images and labels are interpolated by MONAI's zoom."""
    return ("bilinear" if spatial_dims == 2 else "trilinear", "nearest")


class Flip(PerSample):
    """Flips samples along axes, each by a coin of its own."""

    name: Literal["flip"] = "flip"
    probability: Fraction = 0.5
    """Probability of each axis of each sample to be flipped."""
    axes: Annotated[tuple[Annotated[int, Field(ge=0, le=2)], ...], Field(min_length=1)] = (0, 1)
    """Axes of the patch: 0 is R to L, 1 A to P, 2 S to I."""

    def transform(self, spatial_dims: int) -> Any:
        """Make MONAI's."""
        from monai.transforms import Compose, RandFlipd

        return Compose(
            [RandFlipd(BOTH, self.probability, axis) for axis in self.axes if axis < spatial_dims], map_items=False
        )


class Rotation(PerSample):
    """Rotates samples in the axial plane; what comes from outside is 0, without a label."""

    name: Literal["rotation"] = "rotation"
    degrees: Annotated[float, Field(gt=0, le=180)] = 15.0
    """Greatest angle to either side."""

    def transform(self, spatial_dims: int) -> Any:
        """Make MONAI's."""
        from monai.transforms import RandRotated

        axis = "range_x" if spatial_dims == 2 else "range_z"
        return RandRotated(
            BOTH,
            prob=self.probability,
            mode=("bilinear", "nearest"),
            padding_mode="zeros",
            **{axis: math.radians(self.degrees)},
        )


class Scaling(PerSample):
    """Scales samples about their centre, the same along each axis; what comes from outside is 0, without a label."""

    name: Literal["scaling"] = "scaling"
    factors: PositiveRange = (0.85, 1.15)
    """Range of the factor."""

    def transform(self, spatial_dims: int) -> Any:
        """Make MONAI's."""
        from monai.transforms import RandZoomd

        return RandZoomd(
            BOTH,
            prob=self.probability,
            min_zoom=self.factors[0],
            max_zoom=self.factors[1],
            mode=_modes(spatial_dims),
            padding_mode="constant",
            keep_size=True,
        )


class Elastic(PerSample):
    """Bends samples smoothly; what comes from outside is 0, without a label."""

    name: Literal["elastic"] = "elastic"
    distance: Annotated[int, Field(ge=4)] = 16
    """Voxels between the points that are moved, or over which their movement is smoothed in volumes."""
    magnitude: Range = (1.0, 3.0)
    """Range of the standard deviation of their movement, in voxels."""

    def transform(self, spatial_dims: int) -> Any:
        """Make MONAI's."""
        from monai.transforms import Rand2DElasticd, Rand3DElasticd

        common: dict[str, Any] = {
            "prob": self.probability,
            "mode": ("bilinear", "nearest"),
            "padding_mode": "zeros",
        }
        if spatial_dims == 2:
            return Rand2DElasticd(BOTH, (self.distance, self.distance), self.magnitude, **common)
        sigma = self.distance / 2
        # A field of N(0, 1) that is smoothed with σ has the standard deviation (2 σ √π)^(-3/2).
        gain = (2 * sigma * math.sqrt(math.pi)) ** 1.5
        return Rand3DElasticd(BOTH, (sigma, sigma), (self.magnitude[0] * gain, self.magnitude[1] * gain), **common)
