"""``task.yaml``: what a federation learns and how. One file, read by the server and by every site."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from flareseg.config.choices import (
    LOSSES,
    NETWORKS,
    OPTIMIZERS,
    AugmentationChoice,
    LossChoice,
    NetworkChoice,
    OptimizerChoice,
    default,
)
from flareseg.config.methods import FedGS
from flareseg.config.settings import Fraction, NonNegative, Positive, Settings, load_settings

Modality = Literal["CT", "MR", "RGB"]
MOST_LABELS, LABEL_LENGTH = 256, 100
"""What a site's scores can speak of: TotalSegmentator has 117 labels."""
LabelName = Annotated[str, Field(pattern=r"^[\w .,:;()+/-]+$", max_length=LABEL_LENGTH)]
"""Letters, digits and a few signs: a label's name stands in logs, reviews and reports and forges nothing there."""
MOST_STEPS = 1 << 20
"""The largest weight of a contribution in the server's exact sum."""


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


class Training(Settings):
    """Rounds and local work. Work is set in steps, the same for all sites, so that a small site is heard."""

    rounds: Annotated[int, Field(ge=1)] = 25
    """Rounds of the federation."""
    steps: Annotated[int, Field(ge=1, le=MOST_STEPS)] = 12
    """Optimiser steps of each site in each round."""
    epochs: Annotated[int, Field(ge=1)] | None = None
    """So many times what a site has (slices, or volumes for a patch of three numbers), in whole batches; steps is then
    the most that a site does in a round, and has to be given."""
    batch_size: Annotated[int, Field(ge=1)] = 8
    """Patches in a batch."""
    foreground: Fraction = 0.7
    """Share of patches drawn around a labelled voxel, each label as often as the others."""
    seed: Annotated[int, Field(ge=0)] = 0
    """Seed of the initial weights and, with site and round, of every draw."""
    validate_every: Annotated[int, Field(ge=1)] = 1
    """Sites score the incoming global model in every n-th round and in the last."""
    clip_norm: Positive | None = None
    """L2 norm to which the gradient of a step is scaled down; null for none."""
    proximal: NonNegative = 0.0
    """μ of FedProx: μ/2 of the squared distance from the round's global weights is added to the loss."""

    @model_validator(mode="after")
    def _steps_bound_epochs(self) -> Training:
        if self.epochs is not None and "steps" not in self.model_fields_set:
            raise ValueError("with epochs, give steps too: the most that a site does in a round")
        return self


class Aggregation(Settings):
    """The server's arithmetic and patience."""

    server_momentum: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Momentum m of the server: v = m v + mean change, w = w + v."""
    rule: Literal["mean", "median", "trimmed_mean"] = "mean"
    """Mean weighted by steps, or a middle value of each number over the sites (which holds all updates in memory)."""
    trim: Annotated[float, Field(gt=0, lt=0.5)] | None = None
    """With rule: trimmed_mean, the share of the sites that is cut off at either end."""
    largest_norm: Positive = 20.0
    """An update is refused above this many times the typical norm (lower median of the round before)."""
    clip: Positive | None = None
    """An update above this many times the typical norm is scaled down to it; null for none."""
    wait_after_min: Annotated[int, Field(ge=0)] = 600
    """Seconds the server waits for the other sites once k contributions are there."""
    round_timeout: Annotated[int, Field(ge=0)] = 0
    """Seconds after which a round ends in any case; 0 is never."""

    @model_validator(mode="after")
    def _trim_of_its_rule(self) -> Aggregation:
        if (self.trim is None) == (self.rule == "trimmed_mean"):
            raise ValueError("trim belongs to rule: trimmed_mean, which needs it")
        if self.clip is not None and self.clip > self.largest_norm:
            raise ValueError(f"clip should be at most largest_norm, got {self.clip:g} and {self.largest_norm:g}")
        return self


class LesionSize(Settings):
    """The small target in the scores."""

    label: str
    """Which label it is."""
    small_mm: Positive | None = None
    """Targets below this equivalent diameter (mm) are small, the others large."""
    small_px: Positive | None = None
    """In place of small_mm for RGB frames, which have no mm: pixels."""

    @model_validator(mode="after")
    def _one_bound(self) -> LesionSize:
        if (self.small_mm is None) == (self.small_px is None):
            raise ValueError("give either small_mm or, for RGB frames, small_px")
        return self

    @property
    def small(self) -> float:
        """The bound, in the unit of :attr:`unit`."""
        return self.small_mm or self.small_px or 0.0

    @property
    def unit(self) -> str:
        """Mm or px."""
        return "px" if self.small_mm is None else "mm"


class Task(Settings):
    """What the federation learns and how.

    Example:
        >>> task = Task(name="liver", labels=["liver"], modalities={"CT": {"window": [-160, 240]}}, patch=[96, 96])
        >>> task.spatial_dims, task.network.name, task.training.rounds
        (2, 'unet', 25)
    """

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]*$")]
    """Name of the task."""
    labels: Annotated[tuple[LabelName, ...], Field(min_length=1, max_length=MOST_LABELS)]
    """What is segmented, one output channel each; labels may overlap."""
    modalities: Annotated[dict[Modality, Intensity], Field(min_length=1)]
    """Modalities that may take part (CT, MR, RGB), and their intensity normalisation."""
    channels: tuple[Annotated[str, Field(min_length=1)], ...] = ()
    """Names of an image's channels (t1, t2), in the network's order, each a file on one grid; [] for one channel. RGB
    frames have their three colours."""
    spacing: Annotated[tuple[Positive | None, ...], Field(min_length=3, max_length=3)] = (None, None, None)
    """Voxel spacing in mm along R, A, S that images are resampled to; null keeps the image's own."""
    resize: tuple[Annotated[int, Field(ge=16)], Annotated[int, Field(ge=16)]] | None = None
    """RGB only: width and height in pixels that frames are resized to; null keeps the frame's own."""
    patch: Annotated[tuple[Annotated[int, Field(ge=16)], ...], Field(min_length=2, max_length=3)]
    """Voxels of a training sample: two numbers train on axial slices, three on volumes."""
    lesion: LesionSize | None = None
    """The label scored by size; null for none."""
    network: NetworkChoice = Field(default_factory=default(NETWORKS))
    """The network."""
    loss: LossChoice = Field(default_factory=default(LOSSES))
    """The loss: each label by itself, only labels that the site has annotated."""
    optimizer: OptimizerChoice = Field(default_factory=default(OPTIMIZERS))
    """The local optimiser."""
    training: Training = Training()
    """Rounds and local work."""
    augmentation: tuple[AugmentationChoice, ...] = ()
    """Random changes of each training batch, in this order; [] for none."""
    fedgs: FedGS | None = None
    """FedGS; null for none, which is step-weighted FedAvg."""
    aggregation: Aggregation = Aggregation()
    """The server."""
    local_parameters: tuple[str, ...] = ()
    """Patterns (*, ?) of names in the network's state that never leave a site; each site keeps its own values."""
    frozen: tuple[str, ...] = ()
    """Patterns (*, ?) of names in the network's state that are neither trained nor sent: they stay as they began."""

    @model_validator(mode="before")
    @classmethod
    def _old_spelling(cls, content: Any) -> Any:
        if isinstance(content, dict) and "gin" in content:
            raise ValueError(
                "gin: is now an entry of a list: augmentation: [{name: gin, ...}], and null is augmentation: []"
            )
        return content

    @field_validator("labels", "channels")
    @classmethod
    def _distinct(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(names)) != len(names):
            raise ValueError("names should be distinct")
        return names

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
        self._check_pixels()
        self.network.check_patch(self.patch)
        for item in self.augmentation:
            if item.channels not in (None, self.in_channels):
                raise ValueError(f"the augmentation {item.name} is for images of {item.channels} channels (RGB)")
        if missing := self.loss.needs - self.network.outputs:
            raise ValueError(
                f"the loss {self.loss.name} needs {', '.join(sorted(missing))}, which the network {self.network.name} "
                "does not give"
            )
        return self

    def _check_pixels(self) -> None:
        """Photographs are flat, have three channels and no mm."""
        targets = self.fedgs.targets.values() if self.fedgs else ()
        if "RGB" not in self.modalities:
            if self.resize is not None or (self.lesion and self.lesion.small_px is not None):
                raise ValueError("resize and lesion.small_px are for RGB frames; CT and MR have spacing and small_mm")
        elif len(self.modalities) > 1:
            raise ValueError("RGB, of three channels, should be the only modality")
        elif self.channels:
            raise ValueError("channels are for CT and MR, RGB frames have their three colours")
        elif self.spatial_dims != 2:
            raise ValueError("RGB frames are flat: patch should be two numbers")
        elif (
            any(self.spacing)
            or any(target.largest_mm2 for target in targets)
            or (self.lesion and self.lesion.small_mm is not None)
        ):
            raise ValueError("RGB frames have no mm: use resize, threshold and small_px")

    @property
    def spatial_dims(self) -> int:
        """2 for slices, 3 for volumes."""
        return len(self.patch)

    @property
    def in_channels(self) -> int:
        """Channels of an image: 3 for RGB, else those named, or one."""
        return 3 if "RGB" in self.modalities else max(1, len(self.channels))

    @property
    def uses_mm(self) -> bool:
        """Whether the voxel size matters: images are resampled, or targets are measured in mm."""
        targets = self.fedgs.targets.values() if self.fedgs else ()
        return (
            any(self.spacing)
            or (self.lesion is not None and self.lesion.small_mm is not None)
            or any(target.threshold is None for target in targets)
        )

    @property
    def lesions(self) -> frozenset[str]:
        """Labels that a scan may lack: those of lesion and fedgs.targets."""
        small = {self.lesion.label} if self.lesion else set()
        return frozenset(small | set(self.fedgs.targets if self.fedgs else ()))

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

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> text = "{name: liver, labels: [liver], modalities: {CT: {window: [-160, 240]}}, patch: [96, 96]}"
        >>> with TemporaryDirectory() as folder:
        ...     path = Path(folder, "task.yaml")
        ...     _ = path.write_text(text)
        ...     load_task(path).labels
        ('liver',)
    """
    return load_settings(Task, path)
