"""``task.yaml``: what a federation learns and how. One file, read by the server and by every site."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from flareseg.settings import Settings, load_settings

Modality = Literal["CT", "MR", "RGB"]
Positive = Annotated[float, Field(gt=0)]
Fraction = Annotated[float, Field(ge=0, le=1)]


class Intensity(Settings):
    """How images of one modality become network input in [0, 1].

    ``window`` clips to fixed values (HU for CT); ``percentiles`` clips to those of each image (MR, whose values
    have no unit). Exactly one of the two.
    """

    window: tuple[float, float] | None = None
    percentiles: tuple[float, float] | None = None

    @model_validator(mode="after")
    def _one_of_two(self) -> Intensity:
        if (self.window is None) == (self.percentiles is None):
            raise ValueError("give either window or percentiles")
        low, high = self.window or self.percentiles or (0.0, 0.0)
        if low >= high:
            raise ValueError(f"the first value should be less than the second, got {low} and {high}")
        return self


class Network(Settings):
    """A MONAI network by its name in :mod:`flareseg.networks`."""

    name: Literal["unet", "basic_unet", "segresnet"] = "unet"
    channels: Annotated[tuple[int, ...], Field(min_length=2)] = (16, 32, 64, 128)
    norm: Literal["batch", "instance"] = "instance"
    dropout: Fraction = 0.0


class Loss(Settings):
    """Weighted sum of soft Dice and binary cross-entropy, each label by itself (sigmoid)."""

    name: Literal["dice", "dice_ce"] = "dice_ce"
    ce_weight: Annotated[float, Field(ge=0)] = 1.0


class Optimizer(Settings):
    """Local optimiser, fresh in each round. Its step size follows ``schedule`` over the rounds."""

    name: Literal["adamw", "adam", "sgd"] = "adamw"
    lr: Positive = 1e-3
    weight_decay: Annotated[float, Field(ge=0)] = 1e-5
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.9
    schedule: Literal["constant", "cosine"] = "cosine"


class Training(Settings):
    """Rounds and local work. Work is set in steps, the same for all sites, so that a small site is heard."""

    rounds: Annotated[int, Field(ge=1)] = 25
    steps: Annotated[int, Field(ge=1)] = 12
    batch_size: Annotated[int, Field(ge=1)] = 8
    foreground: Fraction = 0.7
    """Share of training samples drawn from slices (or around voxels) that hold a label."""
    flip: bool = False
    seed: Annotated[int, Field(ge=0)] = 0
    validate_every: Annotated[int, Field(ge=1)] = 1
    """Sites score the incoming global model in every n-th round and in the last."""


class GIN(Settings):
    """Global Intensity Non-linear augmentation (Ouyang et al. 2023; FedGIN, arXiv 2508.05137)."""

    probability: Fraction = 1.0
    kernels: Literal["per_sample", "per_batch"] = "per_sample"
    mixing: tuple[Fraction, Fraction] = (0.0, 1.0)
    kernel_sizes: Annotated[tuple[Literal[1, 3, 5], ...], Field(min_length=1)] = (1, 3)
    hidden_channels: Annotated[int, Field(ge=1, le=16)] = 2
    layers: Annotated[int, Field(ge=1, le=8)] = 4

    @model_validator(mode="after")
    def _ordered(self) -> GIN:
        if self.mixing[0] > self.mixing[1]:
            raise ValueError(f"mixing should rise, got {self.mixing[0]} and {self.mixing[1]}")
        return self


class SmallTarget(Settings):
    """When an image counts as holding a small target of one label (FedGS, arXiv 2408.11701)."""

    log_base: Annotated[float, Field(gt=1)] = 100.0
    threshold: Annotated[float, Field(gt=1)] = 150.0


class FedGS(Settings):
    """Federated gradient scaling. Per image the largest scale over ``targets`` counts."""

    targets: Annotated[dict[str, SmallTarget], Field(min_length=1)]


class Aggregation(Settings):
    """The server's arithmetic and patience."""

    server_momentum: Annotated[float, Field(ge=0, lt=1)] = 0.0
    wait_after_min: Annotated[int, Field(ge=0)] = 600
    """Seconds the server waits for the other sites once k contributions are there."""
    round_timeout: Annotated[int, Field(ge=0)] = 0
    """Seconds after which a round ends in any case; 0 is never."""


class LesionSize(Settings):
    """Which label is the small target in the scores, and up to which equivalent diameter (mm) it is small."""

    label: str
    small_mm: Positive = 20.0


class Task(Settings):
    """The whole of ``task.yaml``."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]*$")]
    labels: Annotated[tuple[str, ...], Field(min_length=1)]
    modalities: Annotated[dict[Modality, Intensity], Field(min_length=1)]
    spacing: Annotated[tuple[Positive | None, ...], Field(min_length=3, max_length=3)] = (None, None, None)
    """Voxel spacing in mm along R, A, S that images are resampled to; null keeps the image's own."""
    patch: Annotated[tuple[Annotated[int, Field(ge=16)], ...], Field(min_length=2, max_length=3)]
    """Voxels of a training sample: two numbers train on axial slices, three on volumes."""
    lesion: LesionSize | None = None
    network: Network = Network()
    loss: Loss = Loss()
    optimizer: Optimizer = Optimizer()
    training: Training = Training()
    gin: GIN | None = None
    fedgs: FedGS | None = None
    aggregation: Aggregation = Aggregation()

    @field_validator("labels")
    @classmethod
    def _distinct(cls, labels: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(labels)) != len(labels):
            raise ValueError("labels should be distinct")
        return labels

    @model_validator(mode="after")
    def _consistent(self) -> Task:
        known = set(self.labels)
        named = set(self.fedgs.targets if self.fedgs else ()) | ({self.lesion.label} if self.lesion else set())
        if named - known:
            raise ValueError(f"fedgs.targets and lesion should name labels of the task, {sorted(named - known)} are not")
        factor = 2 ** (len(self.network.channels) - 1)
        if any(size % factor for size in self.patch):
            raise ValueError(f"patch should be a multiple of {factor} for {len(self.network.channels)} network levels")
        return self

    @property
    def spatial_dims(self) -> int:
        """2 for slices, 3 for volumes."""
        return len(self.patch)

    @property
    def in_channels(self) -> int:
        """Channels of an image: 3 for RGB, else 1."""
        return 3 if "RGB" in self.modalities else 1

    @property
    def organs(self) -> tuple[str, ...]:
        """Labels without the small target."""
        return tuple(label for label in self.labels if not self.lesion or label != self.lesion.label)

    def digest(self) -> str:
        """SHA-256 of the settings, independent of how the file is written."""
        canonical = json.dumps(self.model_dump(mode="json"), sort_keys=True)
        return hashlib.sha256(canonical.encode()).hexdigest()


def load_task(path: Path) -> Task:
    """Read and check a ``task.yaml``.

    Raises:
        SettingsError: naming the file, the key, what was expected and what was found.
    """
    return load_settings(Task, path)
