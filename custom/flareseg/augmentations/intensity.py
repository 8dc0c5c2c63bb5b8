"""Augmentations that change intensities alone, by MONAI."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

from flareseg.augmentations.per_sample import IMAGE, PerSample
from flareseg.config.settings import Positive, PositiveRange, Range, rising

_Left = Annotated[float, Field(ge=0.1, le=1)]


class Gamma(PerSample):
    """Raises intensities, between their least and greatest, to a power."""

    name: Literal["gamma"] = "gamma"
    exponents: PositiveRange = (0.7, 1.5)
    """Range of the exponent."""

    def transform(self, spatial_dims: int) -> Any:
        """Make MONAI's."""
        from monai.transforms import RandAdjustContrastd

        return RandAdjustContrastd(IMAGE, prob=self.probability, gamma=self.exponents)


class Contrast(PerSample):
    """Scales intensities about their mean, within the range that they had."""

    name: Literal["contrast"] = "contrast"
    factors: PositiveRange = (0.75, 1.25)
    """Range of the factor."""

    def transform(self, spatial_dims: int) -> Any:
        """Make MONAI's."""
        from monai.transforms import RandScaleIntensityFixedMeand

        low, high = self.factors  # MONAI multiplies by one more than what it draws
        return RandScaleIntensityFixedMeand(
            IMAGE, factors=(low - 1, high - 1), fixed_mean=True, preserve_range=True, prob=self.probability
        )


class Noise(PerSample):
    """Adds Gaussian noise."""

    name: Literal["noise"] = "noise"
    deviation: Positive = 0.05
    """Greatest standard deviation; that of a sample is drawn between 0 and this."""

    def transform(self, spatial_dims: int) -> Any:
        """Make MONAI's."""
        from monai.transforms import RandGaussianNoised

        return RandGaussianNoised(IMAGE, prob=self.probability, std=self.deviation)


class Blur(PerSample):
    """Smooths with a Gaussian."""

    name: Literal["blur"] = "blur"
    sigma: Range = (0.5, 1.0)
    """Range of its standard deviation in voxels, drawn for each axis."""

    def transform(self, spatial_dims: int) -> Any:
        """Make MONAI's."""
        from monai.transforms import RandGaussianSmoothd

        return RandGaussianSmoothd(
            IMAGE, sigma_x=self.sigma, sigma_y=self.sigma, sigma_z=self.sigma, prob=self.probability
        )


class LowResolution(PerSample):
    """Samples an image down and up again."""

    name: Literal["low_resolution"] = "low_resolution"
    factors: Annotated[tuple[_Left, _Left], AfterValidator(rising)] = (0.5, 1.0)
    """Range of the share of the resolution that is left."""

    def transform(self, spatial_dims: int) -> Any:
        """Make MONAI's."""
        from monai.transforms import RandSimulateLowResolutiond

        up = "bilinear" if spatial_dims == 2 else "trilinear"
        return RandSimulateLowResolutiond(IMAGE, prob=self.probability, upsample_mode=up, zoom_range=self.factors)
