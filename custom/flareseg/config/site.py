"""``site.yaml``: where a site's data is and what its labels mean. It never leaves the site's ``local`` folder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from flareseg.config.settings import Fraction, Positive, Settings, load_settings
from flareseg.config.task import Modality, Task
from flareseg.errors import SettingsError, shown

SITE_FILE = "site.yaml"
"""Name of the file in a kit's ``local`` folder."""

LabelValues = Annotated[tuple[Annotated[int, Field(ge=1)], ...], Field(min_length=1)]
VoxelSize = tuple[Positive, Positive, Positive]


class Split(Settings):
    """Cases held out, drawn by seed; used with patterns only, as a datalist says it itself."""

    validation: Fraction = 0.2
    """Share of the cases that choose the model."""
    testing: Fraction = 0.2
    """Share of the cases kept for the end."""
    seed: int = 0
    """Seed of the draw."""

    @model_validator(mode="after")
    def _leaves_training(self) -> Split:
        if self.validation + self.testing >= 1:
            raise ValueError("validation and testing together should be less than 1")
        return self


class DataSource(Settings):
    """Where images and labels are: two glob patterns below root, or a MONAI datalist JSON in it."""

    root: Path
    """The data folder; a relative path is taken from the folder of site.yaml."""
    images: str | Annotated[dict[str, str], Field(min_length=1)] | None = None
    """Pattern of the images; pairs with labels by what the wildcards match. Of several channels one for each, by the
    task's names: {t1: ..., t2: ...}."""
    labels: str | None = None
    """Pattern of the labels."""
    datalist: str | None = None
    """MONAI datalist with training, validation and testing; a relative path is taken from root."""
    label_root: Path | None = None
    """Folder of the datalist's labels where it is not root: images stay where they are, labels were converted."""
    split: Split = Split()
    """Held-out cases."""
    exclude: tuple[str, ...] = ()
    """Names of cases or files that are not used, *, ? allowed; counted in check and record. A datalist may have
    exclude, too."""
    on_bad_case: Literal["stop", "leave_out"] = "stop"
    """Whether a case that cannot be used keeps the site from training, or is left out; the lead learns how many."""
    spacing: VoxelSize | dict[str, VoxelSize] | None = None
    """Voxel size in mm along the file's axes, of cases whose header does not know it; or one for each pattern of
    names: {"volume-28": [0.7, 0.7, 2.5]}."""

    @model_validator(mode="after")
    def _one_way(self) -> DataSource:
        patterns = self.images is not None and self.labels is not None
        if patterns == (self.datalist is not None) or (self.images is None) != (self.labels is None):
            raise ValueError("give either images and labels (glob patterns) or datalist (a file)")
        if patterns and self.label_root is not None:
            raise ValueError("label_root goes with a datalist; patterns are taken from root")
        return self


class Scale(Settings):
    """Stored value to HU or raw MR value, for images that hold neither: slope * stored + intercept."""

    slope: float = 1.0
    """Factor."""
    intercept: float = 0.0
    """Summand, in HU for CT."""


class Site(Settings):
    """Where a site's data is and what its labels mean. The file never leaves the site.

    Example:
        >>> site = Site(
        ...     modality="CT",
        ...     data={"root": "/data/livers", "images": "volume-*.nii.gz", "labels": "segmentation-*.nii.gz"},
        ...     labels={"liver": [1, 2], "lesion": 2, "spleen": None},
        ... )
        >>> site.labels["lesion"], site.labels["spleen"]
        ((2,), None)
    """

    modality: Modality
    """What the images are."""
    data: DataSource
    """Where they are."""
    labels: dict[str, LabelValues | None]
    """Labels of the site's tasks and its own value or values for each, from 1, as 0 is background; null where it was
    never annotated. For RGB frames 1 or 255 alone means a mask of two values, whichever of these they are; others are
    values in the mask."""
    intensity: Scale = Scale()
    """How images are scaled where they are not in HU or raw MR values."""
    cache: Path | None = None
    """Folder for prepared volumes; null is cache/ in the site's workspace."""
    memory_gib: Positive = 4.0
    """Prepared volumes held in memory at once, in GiB; the others wait in the cache."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where to compute; auto takes CUDA where there is one."""
    threads: Annotated[int, Field(ge=1)] = 1
    """Threads of PyTorch on the CPU."""

    @field_validator("labels", mode="before")
    @classmethod
    def _single_value(cls, labels: object) -> object:
        if not isinstance(labels, dict):
            return labels
        for name, value in labels.items():
            several = value if isinstance(value, list | tuple) else [value]
            if value is not None and not all(isinstance(one, int) and not isinstance(one, bool) for one in several):
                raise ValueError(
                    f"{name} should be a whole number from 1, a list of them, or null where it was never annotated, "
                    f"got {shown(value)}"
                )
        return {name: (value,) if isinstance(value, int) else value for name, value in labels.items()}

    @model_validator(mode="after")
    def _frames(self) -> Site:
        if self.modality == "RGB":
            if self.intensity != Scale():
                raise ValueError("intensity: is for CT and MR, RGB frames hold 0 to 255")
            if self.data.spacing is not None or isinstance(self.data.images, dict):
                raise ValueError("data: spacing and several channels are for CT and MR")
        return self

    @property
    def named_values(self) -> frozenset[int]:
        """Every label value that the file names."""
        return frozenset(value for values in self.labels.values() for value in values or ())


def load_site(path: Path) -> Site:
    """Read and check a ``site.yaml``; relative folders are taken from the file's folder.

    Raises:
        SettingsError: naming the file, the key, what was expected and what was found.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> text = "{modality: MR, data: {root: images, datalist: datalist.json}, labels: {liver: 1}}"
        >>> with TemporaryDirectory() as folder:
        ...     path = Path(folder, "site.yaml")
        ...     _ = path.write_text(text)
        ...     load_site(path).data.root == path.parent.resolve() / "images"
        True
    """
    site = load_settings(Site, path)
    folder = path.parent
    data = site.data.model_copy(
        update={"root": _absolute(folder, site.data.root), "label_root": _absolute(folder, site.data.label_root)}
    )
    return site.model_copy(update={"data": data, "cache": _absolute(folder, site.cache)})


def _absolute(folder: Path, path: Path | None) -> Path | None:
    try:
        return None if path is None else (folder / path.expanduser()).resolve()
    except (OSError, ValueError, RuntimeError):  # a null byte, half of a surrogate pair, ~ of nobody, a loop of links
        raise SettingsError(f"{shown(str(path))}: no folder can have this name.", "Correct site.yaml.") from None


def check_site_fits(site: Site, task: Task, path: Path) -> None:
    """Check that a site can take part in a task.

    Raises:
        SettingsError: the task does not know the site's modality, or the site does not name or has not annotated the
            task's labels or channels. More labels than the task's are fine: one site.yaml serves several jobs.
    """
    if site.modality not in task.modalities:
        raise SettingsError(
            f"{path}: modality is {site.modality}, the task {task.name} takes {', '.join(sorted(task.modalities))}.",
            "Ask the lead for a job with this modality.",
        )
    images = site.data.images
    if task.channels and images is not None:
        named = set(images) if isinstance(images, dict) else set()
        if lacking := [name for name in task.channels if name not in named]:
            raise SettingsError(
                f"{path}: data.images should name the channels {', '.join(task.channels)}; "
                f"missing: {', '.join(lacking)}.",
                f"Give a pattern for each: images: {{{', '.join(f'{name}: ...' for name in task.channels)}}}.",
            )
    elif isinstance(images, dict) and len(images) > 1:
        raise SettingsError(
            f"{path}: data.images names {', '.join(images)}, the task {task.name} takes one channel.",
            "Give the one pattern that the task means, or ask the lead for a task with channels.",
        )
    missing = sorted(set(task.labels) - set(site.labels))
    if missing:
        raise SettingsError(
            f"{path}: labels should name {', '.join(task.labels)}; missing: {', '.join(missing)}.",
            "Add each missing label with the site's own values, or null where it was never annotated.",
        )
    if all(site.labels[name] is None for name in task.labels):
        raise SettingsError(
            f"{path}: every label of the task {task.name} is null.",
            "A site needs at least one annotated label to train.",
        )
