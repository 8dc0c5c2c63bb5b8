"""GIN as random transforms, after MONAI's conventions."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from monai.config import KeysCollection
from monai.config.type_definitions import NdarrayOrTensor
from monai.data.meta_obj import get_track_meta
from monai.transforms import MapTransform, RandomizableTransform
from monai.utils import convert_to_dst_type, convert_to_tensor
from monai.utils.enums import TransformBackends
from torch import Tensor

from flareseg.transforms.gin import gin

MODES = ("per_sample", "per_batch", "per_volume")


class RandGIN(RandomizableTransform):
    r"""Random Global Intensity Non-linear augmentation: see :func:`flareseg.transforms.gin`.

    Ouyang et al., "Causality-Inspired Single-Source Domain Generalization for Medical Image Segmentation", IEEE TMI
    2023; in federation: Nagaraju et al., "FedGIN", arXiv 2508.05137. Weights and shifts come from N(0, 1), the kernel
    size of each layer, common to the batch, from ``kernel_sizes``, the mix of each sample from U(alpha).

    Called on one image, shape (C, \*spatial), it is an array transform; ``apply_batch`` takes a batch
    (B, C, \*spatial) on its device, as in training. All draws are made by ``self.R`` on the CPU, so they are the same
    on every device. Images should be normalised.

    Args:
        prob: probability of each sample to be changed. The others stay as they are, to the last bit.
        mode: "per_sample" draws weights and shifts for each sample (Ouyang et al.), "per_batch" once for a batch
            (FedGIN's code), "per_volume" once for each volume (2.5D: slices of one volume get one look).
        alpha: range of the mix, within [0, 1].
        kernel_sizes: odd sizes to draw from.
        hidden_channels: channels between the layers.
        layers: number of layers.
        clean_share: share of each batch, rounded down, that stays as it is whatever ``prob`` says; in [0, 1). Not with
            "per_volume", where the samples of a volume stay or change together, so that no share could be kept.

    Raises:
        ValueError: when a setting is out of range or no whole number, or two do not go together.

    Example:
        >>> augment = RandGIN(prob=1.0).set_random_state(seed=0)
        >>> batch = torch.rand(4, 1, 32, 32)
        >>> augment.apply_batch(batch).shape
        torch.Size([4, 1, 32, 32])
        >>> image = torch.rand(1, 32, 32)
        >>> torch.equal(augment(image), image)
        False
    """

    backend = [TransformBackends.TORCH]  # noqa: RUF012 (MONAI's way to say what a transform works on)

    def __init__(
        self,
        prob: float = 1.0,
        mode: str = "per_sample",
        alpha: tuple[float, float] = (0.0, 1.0),
        kernel_sizes: Sequence[int] = (1, 3),
        hidden_channels: int = 2,
        layers: int = 4,
        clean_share: float = 0.0,
    ) -> None:
        if not 0 <= clean_share < 1:
            raise ValueError(f"clean_share should be in [0, 1), got {clean_share}.")
        if clean_share and mode == "per_volume":
            raise ValueError(f"clean_share should be 0 with mode 'per_volume', got {clean_share}.")
        if not 0 <= prob <= 1:
            raise ValueError(f"prob should be in [0, 1], got {prob}.")
        if mode not in MODES:
            raise ValueError(f"mode should be one of {', '.join(MODES)}, got {mode!r}.")
        if len(alpha) != 2 or not 0 <= alpha[0] <= alpha[1] <= 1:
            raise ValueError(f"alpha should be a range (low, high) within [0, 1], got {tuple(alpha)}.")
        if not kernel_sizes or any(not _is_count(size) or size % 2 == 0 for size in kernel_sizes):
            raise ValueError(f"kernel_sizes should be odd whole numbers of at least 1, got {tuple(kernel_sizes)}.")
        for name, count in (("hidden_channels", hidden_channels), ("layers", layers)):
            if not _is_count(count):
                raise ValueError(f"{name} should be a whole number of at least 1, got {count}.")
        super().__init__(prob)
        self.mode = mode
        self.alpha = alpha
        self.kernel_sizes = tuple(kernel_sizes)
        self.hidden_channels = hidden_channels
        self.layers = layers
        self.clean_share = clean_share
        self._drawn_for: tuple[int, int, int] | None = None  # samples, channels, spatial axes
        self._chosen = np.zeros(0, dtype=np.int64)
        self._kernels: list[Tensor] = []
        self._shifts: list[Tensor] = []
        self._mix = torch.zeros(0)

    def randomize(self, data: Sequence[int]) -> None:
        r"""Draw for a batch. How many numbers are drawn does not depend on which samples are chosen.

        Args:
            data: shape of the batch, (B, C, \*spatial).
        """
        batch, channels, *spatial = data
        self._drawn_for = (batch, channels, len(spatial))
        chosen = self.R.random_sample(batch) < self.prob
        if self.clean_share:
            chosen[self.R.permutation(batch)[: int(self.clean_share * batch)]] = False
        self._chosen = np.flatnonzero(chosen)
        self._do_transform = self._chosen.size > 0
        self._mix = _float(self.R.uniform(*self.alpha, size=batch))
        networks = 1 if self.mode == "per_batch" else batch
        widths = [channels, *[self.hidden_channels] * (self.layers - 1), channels]
        sizes = self.R.choice(self.kernel_sizes, self.layers)
        self._kernels, self._shifts = [], []
        for into, out, size in zip(widths, widths[1:], sizes, strict=False):
            self._kernels.append(_float(self.R.standard_normal((networks, out, into, *[size] * len(spatial)))))
            self._shifts.append(_float(self.R.standard_normal((networks, out))))

    def __call__(self, img: NdarrayOrTensor, randomize: bool = True) -> NdarrayOrTensor:
        r"""Transform one image, shape (C, \*spatial) with two or three spatial axes, floating point."""
        img = convert_to_tensor(img, track_meta=get_track_meta())
        return self.apply_batch(img.unsqueeze(0), randomize)[0]

    def apply_batch(
        self, images: Tensor, randomize: bool = True, volumes: Sequence[int] | np.ndarray | None = None
    ) -> Tensor:
        r"""Transform a batch on its device; ``images`` and its dtype stay as they are.

        Args:
            images: shape (B, C, \*spatial).
            randomize: draw anew; else the last draws are used, for a batch of as many samples and channels.
            volumes: for "per_volume", which volume each sample is of, shape (B,); without it all are of one.

        Raises:
            ValueError: when ``volumes`` is not of the batch's length, or the last draws were for another shape.
            RuntimeError: when the last draws are asked for, and nothing was drawn yet.
        """
        if not randomize:
            self._check_drawn(images)
        else:
            self.randomize(images.shape)
            if self.mode == "per_volume":
                self._share(np.zeros(len(images), dtype=int) if volumes is None else np.asarray(volumes), len(images))
        if not self._do_transform:
            return images
        plain = convert_to_tensor(images, track_meta=False)
        if len(self._chosen) == plain.shape[0]:
            result = gin(plain, self._kernels, self._shifts, self._mix)
        else:
            chosen = torch.from_numpy(self._chosen)
            own = slice(None) if self.mode == "per_batch" else chosen
            kernels, shifts = ([draw[own] for draw in draws] for draws in (self._kernels, self._shifts))
            where = chosen.to(plain.device)
            changed = gin(plain.index_select(0, where), kernels, shifts, self._mix[chosen])
            result = plain.index_copy(0, where, changed)
        return convert_to_dst_type(result, images)[0]

    def _check_drawn(self, images: Tensor) -> None:
        if self._drawn_for is None:
            raise RuntimeError("randomize=False uses the last draws, and nothing was drawn yet: call randomize first.")
        asked = (*images.shape[:2], images.ndim - 2)
        if asked != self._drawn_for:
            raise ValueError(
                "randomize=False should be given a batch like that of the last draws, of {} samples, {} channels and "
                "{} spatial axes, got {}, {} and {}.".format(*self._drawn_for, *asked)
            )

    def _share(self, volumes: np.ndarray, batch: int) -> None:
        """Give each sample the choice, network and mix of the first sample of its volume."""
        if volumes.shape != (batch,):
            raise ValueError(f"volumes should have shape ({batch},), got {volumes.shape}.")
        _, first, inverse = np.unique(volumes, return_index=True, return_inverse=True)
        self._chosen = np.flatnonzero(np.isin(first[inverse], self._chosen))
        self._do_transform = self._chosen.size > 0
        of_volume = torch.from_numpy(first[inverse])
        self._kernels = [kernel[of_volume] for kernel in self._kernels]
        self._shifts = [shift[of_volume] for shift in self._shifts]
        self._mix = self._mix[of_volume]


class RandGINd(MapTransform, RandomizableTransform):
    """Dictionary form of :class:`RandGIN`, for a MONAI ``Compose``: all keys get the same draws.

    ``Compose([LoadImaged("image"), ..., RandGINd("image", prob=0.5)])``, after the normalisation.

    Args:
        keys: keys of the images, each of shape (C, H, W) or (C, D, H, W) with the same number of channels and axes.
        prob: probability of the images to be changed, together.
        allow_missing_keys: whether a key may be missing.
        settings: the others of :class:`RandGIN` by name. What they say of a batch has no effect on a single image.

    Example:
        >>> augment = RandGINd("image", prob=1.0).set_random_state(seed=0)
        >>> case = {"image": torch.rand(1, 32, 32), "label": torch.zeros(1, 32, 32)}
        >>> changed = augment(case)
        >>> torch.equal(changed["image"], case["image"]), changed["label"] is case["label"]
        (False, True)
    """

    backend = RandGIN.backend

    def __init__(
        self, keys: KeysCollection, prob: float = 1.0, *, allow_missing_keys: bool = False, **settings: Any
    ) -> None:
        MapTransform.__init__(self, keys, allow_missing_keys)
        RandomizableTransform.__init__(self, prob)
        self.gin = RandGIN(prob, **settings)

    def set_random_state(self, seed: int | None = None, state: np.random.RandomState | None = None) -> RandGINd:
        """Seed the draws."""
        super().set_random_state(seed, state)
        self.gin.set_random_state(seed, state)
        return self

    def __call__(self, data: Mapping[Hashable, NdarrayOrTensor]) -> dict[Hashable, Any]:
        """Transform the images under the keys."""
        result = dict(data)
        first = self.first_key(result)
        if first == ():
            self._do_transform = False
            return result
        self.gin.randomize((1, *result[first].shape))
        self._do_transform = self.gin._do_transform
        for key in self.key_iterator(result):
            result[key] = self.gin(result[key], randomize=False)
        return result


def _is_count(value: object) -> bool:
    return isinstance(value, int | np.integer) and not isinstance(value, bool) and bool(value >= 1)


def _float(values: np.ndarray) -> Tensor:
    return torch.from_numpy(values.astype(np.float32))
