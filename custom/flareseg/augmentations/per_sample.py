"""Base of the augmentations that MONAI has: one of its random dictionary transforms, on each sample by itself."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any

import numpy as np

from flareseg.config.choices import Augment, Augmentation
from flareseg.config.settings import Fraction

if TYPE_CHECKING:
    from torch import Tensor

IMAGE, LABEL = "image", "label"
BOTH = (IMAGE, LABEL)


class PerSample(Augmentation):
    """An augmentation by a transform of MONAI."""

    probability: Fraction = 0.2
    """Probability of each sample to be changed."""

    @abstractmethod
    def transform(self, spatial_dims: int) -> Any:
        """Make MONAI's transform of a dictionary with an image (C, *spatial) and its labels (L, *spatial)."""

    def build(self, state: np.random.RandomState) -> Augment:
        """Build it; MONAI's transform is made for the dimensions of the first batch."""
        import torch
        from monai.transforms import Randomizable
        from monai.utils import convert_to_tensor

        made: dict[int, Randomizable] = {}

        def plain(value: Any) -> Tensor:
            tensor: Tensor = convert_to_tensor(value, track_meta=False)
            return tensor

        def augment(images: Tensor, labels: Tensor, volumes: np.ndarray) -> tuple[Tensor, Tensor]:
            dims = images.ndim - 2
            if dims not in made:
                made[dims] = self.transform(dims).set_random_state(state=state)
            changed = [made[dims]({IMAGE: x, LABEL: y}) for x, y in zip(images, labels, strict=True)]
            image, label = (torch.stack([plain(item[key]) for item in changed]) for key in BOTH)
            return image.to(images), label.to(labels)

        return augment
