"""Training samples: slices or patches cut from volumes, with a set share around labelled voxels."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from flareseg.data.cache import Volume


@dataclass(frozen=True)
class Batch:
    """Training samples.

    Attributes:
        images: float32 (B, C, *patch).
        labels: uint8 (B, L, *patch).
        spacing: float32 (B, 3), voxel size in mm of each patch's volume.
        volumes: int (B,), the number of each patch's volume.
    """

    images: np.ndarray
    labels: np.ndarray
    spacing: np.ndarray
    volumes: np.ndarray


class PatchSampler:
    """Draws batches of patches.

    A volume is drawn uniformly. With probability ``foreground`` the patch then holds a voxel of a label, the label
    drawn uniformly among those the volume has: a small label is seen as often as a large one. Otherwise it lies
    anywhere. Where a volume is smaller than the patch, zeros fill the rest.

    Args:
        volumes: the training volumes.
        patch: voxels of a patch; two numbers cut axial slices, three volumes.
        foreground: share of patches around a label, in [0, 1].
        labels: indices of the labels that count as foreground (those the site has annotated).
    """

    def __init__(
        self, volumes: Sequence[Volume], patch: Sequence[int], foreground: float, labels: Sequence[int]
    ) -> None:
        self.volumes = volumes
        self.patch = tuple(patch)
        self.box = (*patch, 1) if len(patch) == 2 else tuple(patch)
        self.foreground = foreground
        self.labels = tuple(labels)

    def draw(self, size: int, rng: np.random.Generator) -> Batch:
        """Draw a batch.

        Args:
            size: number of patches B.
            rng: source of randomness; the same state gives the same batch.
        """
        return self.cut((int(rng.integers(len(self.volumes))) for _ in range(size)), rng)

    def cut(self, numbers: Iterable[int], rng: np.random.Generator) -> Batch:
        """Draw a patch of each volume named, which may be none.

        Args:
            numbers: numbers of volumes.
            rng: source of randomness.
        """
        images, labels, spacing, taken = [], [], [], []
        for number in numbers:
            volume = self.volumes[number]
            present = [index for index in self.labels if len(volume.foreground[index])]
            corner = self._corner(volume, present, rng)
            images.append(self._cut(volume.image, corner))
            labels.append(self._cut(volume.label, corner))
            spacing.append(volume.spacing)
            taken.append(number)
        if not taken:
            image, label = (
                np.zeros((0, len(array), *self.patch), array.dtype)
                for array in (self.volumes[0].image, self.volumes[0].label)
            )
            return Batch(image, label, np.zeros((0, 3), np.float32), np.zeros(0, int))
        return Batch(np.stack(images), np.stack(labels), np.stack(spacing), np.array(taken))

    def _corner(self, volume: Volume, present: Sequence[int], rng: np.random.Generator) -> list[int]:
        shape = volume.image.shape[1:]
        around = None
        if present and rng.random() < self.foreground:
            voxels = volume.foreground[present[int(rng.integers(len(present)))]]
            around = voxels[int(rng.integers(len(voxels)))]
        corner = []
        for axis, (length, extent) in enumerate(zip(shape, self.box, strict=True)):
            low, high = min(0, (length - extent) // 2), max((length - extent) // 2, length - extent)
            if around is not None:
                low, high = max(low, int(around[axis]) - extent + 1), min(high, int(around[axis]))
            corner.append(int(rng.integers(low, max(low, high) + 1)))
        return corner

    def _cut(self, array: np.ndarray, corner: Sequence[int]) -> np.ndarray:
        inside = tuple(
            slice(max(start, 0), min(start + extent, length))
            for start, extent, length in zip(corner, self.box, array.shape[1:], strict=True)
        )
        cut = array[(slice(None), *inside)]
        missing = [
            (part.start - start, start + extent - part.stop)
            for part, start, extent in zip(inside, corner, self.box, strict=True)
        ]
        padded = np.pad(cut, [(0, 0), *missing]) if any(map(any, missing)) else cut
        return np.array(padded, order="C").reshape(array.shape[0], *self.patch)
