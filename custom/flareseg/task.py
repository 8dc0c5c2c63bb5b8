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
    """How images of one modality become network input in [0, 1]: exactly one of the two."""

    window: tuple[float, float] | None = None
    """Clip to these values (HU for CT)."""
    percentiles: tuple[float, float] | None = None
    """Clip to these percentiles of each image (MR, whose values have no unit)."""

    @model_validator(mode="after")
    def _one_of_two(self) -> Intensity:
        if (self.window is None) == (self.percentiles is None):
            raise ValueError("give either window or percentiles")
        low, high = self.window or self.percentiles or (0.0, 0.0)
        if low >= high:
            raise ValueError(f"the first value should be less than the second, got {low} and {high}")
        return self


class Network(Settings):
    """A MONAI network, of a closed list."""

    name: Literal["unet", "segresnet"] = "unet"
    """MONAI's UNet with residual units, or SegResNet."""
    channels: Annotated[tuple[Annotated[int, Field(ge=1)], ...], Field(min_length=2)] = (16, 32, 64, 128)
    """Channels of each level; each level halves the resolution."""
    norm: Literal["batch", "instance"] = "instance"
    """Normalisation of the unet; segresnet has group normalisation."""
    batch_norm: Literal["averaged", "local"] = "averaged"
    """With norm: batch, whether statistics and affine parameters are averaged or stay at the site (FedBN)."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Share of features dropped in training."""

    @model_validator(mode="after")
    def _has_batch_norm(self) -> Network:
        if self.batch_norm == "local" and (self.name != "unet" or self.norm != "batch"):
            raise ValueError(f"batch_norm: local needs a unet with norm: batch, got {self.name} with {self.norm}")
        return self


class Loss(Settings):
    """Each label by itself (sigmoid), only labels that the site has annotated."""

    name: Literal["dice", "dice_ce"] = "dice_ce"
    """Soft Dice over the batch, alone or with binary cross-entropy."""
    ce_weight: Annotated[float, Field(ge=0)] = 1.0
    """Weight of the cross-entropy beside the Dice loss."""


class Optimizer(Settings):
    """The local optimiser, fresh in each round."""

    name: Literal["adamw", "adam", "sgd"] = "adamw"
    """PyTorch's optimiser of that name."""
    lr: Positive = 1e-3
    """Step size of the first round."""
    weight_decay: Annotated[float, Field(ge=0)] = 1e-5
    """Decoupled for adamw, else part of the gradient."""
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.9
    """Momentum of sgd."""
    schedule: Literal["constant", "cosine"] = "cosine"
    """How the step size falls over the rounds."""


class Training(Settings):
    """Rounds and local work. Work is set in steps, the same for all sites, so that a small site is heard."""

    rounds: Annotated[int, Field(ge=1)] = 25
    """Rounds of the federation."""
    steps: Annotated[int, Field(ge=1)] = 12
    """Optimiser steps of each site in each round."""
    batch_size: Annotated[int, Field(ge=1)] = 8
    """Patches in a batch."""
    foreground: Fraction = 0.7
    """Share of patches drawn around a labelled voxel, each label as often as the others."""
    seed: Annotated[int, Field(ge=0)] = 0
    """Seed of the initial weights and, with site and round, of every draw."""
    validate_every: Annotated[int, Field(ge=1)] = 1
    """Sites score the incoming global model in every n-th round and in the last."""


class GIN(Settings):
    """Global Intensity Non-linear augmentation (Ouyang et al. 2023; FedGIN, arXiv 2508.05137); null for none."""

    probability: Fraction = 1.0
    """Probability of each sample to be changed."""
    kernels: Literal["per_sample", "per_batch", "per_volume"] = "per_sample"
    """Draw kernels for each sample (Ouyang et al.), once for a batch (FedGIN's code) or for each volume (2.5D)."""
    clean_share: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Share of each batch, rounded down, that stays as it is."""
    mixing: tuple[Fraction, Fraction] = (0.0, 1.0)
    """Range of the share of the changed image in the result."""
    kernel_sizes: Annotated[tuple[Literal[1, 3, 5], ...], Field(min_length=1)] = (1, 3)
    """Sizes drawn from for each layer."""
    hidden_channels: Annotated[int, Field(ge=1, le=16)] = 2
    """Channels between the random layers."""
    layers: Annotated[int, Field(ge=1, le=8)] = 4
    """Number of random layers."""

    @model_validator(mode="after")
    def _ordered(self) -> GIN:
        if self.mixing[0] > self.mixing[1]:
            raise ValueError(f"mixing should rise, got {self.mixing[0]} and {self.mixing[1]}")
        return self


class SmallTarget(Settings):
    """When an image counts as holding a small target of one label (FedGS, arXiv 2408.11701)."""

    log_base: Annotated[float, Field(gt=1)] = 100.0
    """Base l of the logarithm of the inverse area."""
    threshold: Annotated[float, Field(gt=1)] | None = None
    """Inverse area τ (voxels of the image by voxels of the target) from which a target is small; published."""
    largest_mm2: Positive | None = None
    """In place of threshold, for images of different spacing: area (mm²) up to which a target of a slice is small."""
    largest_mm3: Positive | None = None
    """The same for volumes: mm³."""
    target_size: Literal["mask", "smallest_component"] = "mask"
    """What is measured: all of the label in the image (published), or its smallest connected part."""

    @model_validator(mode="after")
    def _one_bound(self) -> SmallTarget:
        if sum(bound is not None for bound in (self.threshold, self.largest_mm2, self.largest_mm3)) != 1:
            raise ValueError("give one of threshold, largest_mm2 and largest_mm3")
        return self


class FedGS(Settings):
    """Federated gradient scaling (arXiv 2408.11701); null for none: either targets or constant."""

    targets: dict[str, SmallTarget] = Field(default_factory=dict)
    """Small-target labels of the task; of an image with several the largest scale counts."""
    constant: Positive | None = None
    """Scale every step by this: the control for the larger step that FedGS makes."""
    normalize: Literal["none", "mean"] = "none"
    """mean divides the mean update by the step-weighted mean scale: its direction without the larger step."""

    @model_validator(mode="after")
    def _one_way(self) -> FedGS:
        if bool(self.targets) == (self.constant is not None):
            raise ValueError("give either targets or constant")
        if self.constant is not None and self.normalize == "mean":
            raise ValueError("normalize: mean would undo a constant; for FedAvg set fedgs to null")
        return self

    @property
    def scale_range(self) -> tuple[float, float]:
        """Between what the mean scale of a site's steps can lie."""
        return (1.0, 3.0) if self.constant is None else (self.constant, self.constant)


class Aggregation(Settings):
    """The server's arithmetic and patience."""

    server_momentum: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Momentum m of the server: v = m v + mean update, w = w - v."""
    wait_after_min: Annotated[int, Field(ge=0)] = 600
    """Seconds the server waits for the other sites once k contributions are there."""
    round_timeout: Annotated[int, Field(ge=0)] = 0
    """Seconds after which a round ends in any case; 0 is never."""


class LesionSize(Settings):
    """The small target in the scores."""

    label: str
    """Which label it is."""
    small_mm: Positive = 20.0
    """Targets below this equivalent diameter (mm) are small, the others large."""


class Task(Settings):
    """What the federation learns and how."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]*$")]
    """Name of the task."""
    labels: Annotated[tuple[str, ...], Field(min_length=1)]
    """What is segmented, one output channel each; labels may overlap."""
    modalities: Annotated[dict[Modality, Intensity], Field(min_length=1)]
    """Modalities that may take part (CT, MR, RGB), and their intensity normalisation."""
    spacing: Annotated[tuple[Positive | None, ...], Field(min_length=3, max_length=3)] = (None, None, None)
    """Voxel spacing in mm along R, A, S that images are resampled to; null keeps the image's own."""
    patch: Annotated[tuple[Annotated[int, Field(ge=16)], ...], Field(min_length=2, max_length=3)]
    """Voxels of a training sample: two numbers train on axial slices, three on volumes."""
    lesion: LesionSize | None = None
    """The label scored by size; null for none."""
    network: Network = Network()
    """The network."""
    loss: Loss = Loss()
    """The loss."""
    optimizer: Optimizer = Optimizer()
    """The optimiser."""
    training: Training = Training()
    """Rounds and local work."""
    gin: GIN | None = None
    """GIN augmentation; null for none."""
    fedgs: FedGS | None = None
    """FedGS; null for none, which is step-weighted FedAvg."""
    aggregation: Aggregation = Aggregation()
    """The server."""
    local_parameters: tuple[str, ...] = ()
    """Patterns (*, ?) of names in the network's state that never leave a site; each site keeps its own values."""

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
            raise ValueError(
                f"fedgs.targets and lesion should name labels of the task, {sorted(named - known)} are not"
            )
        bound = "largest_mm2" if len(self.patch) == 3 else "largest_mm3"
        if self.fedgs and any(getattr(target, bound) is not None for target in self.fedgs.targets.values()):
            raise ValueError(f"{bound} does not fit a patch of {len(self.patch)} dimensions")
        if self.network.name == "segresnet" and self.network.channels[0] % 8:
            raise ValueError(
                f"segresnet should have a multiple of 8 as its first channels, got {self.network.channels[0]}"
            )
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
