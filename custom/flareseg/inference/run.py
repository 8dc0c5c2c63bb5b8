"""Many images, one after the other: one that cannot be used does not stop the others."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch

from flareseg.config.task import Modality, Task
from flareseg.errors import DataError, ErrorCode, FlaresegError, SettingsError
from flareseg.files import write_whole
from flareseg.inference.dicom_seg import dicom_seg
from flareseg.inference.images import Image, read_image
from flareseg.inference.inputs import Input
from flareseg.inference.measure import Measurement, clean, label_map, measure_masks
from flareseg.inference.outputs import write_sidecars, write_tables, write_volume
from flareseg.inference.preview import montage
from flareseg.inference.segment import segment_image
from flareseg.learning.trained import Trained


@dataclass(frozen=True)
class Wishes:
    """What is to be made of each image.

    Attributes:
        modality: of the images; None where DICOM says it, or to guess.
        slope: factor that takes stored values to HU or raw MR values.
        intercept: summand of the same.
        per_label: one file for each label, which may overlap, in place of one label map.
        probabilities: write them too, 0 to 255 for each label.
        largest: keep the largest component of each organ.
        fill: fill holes.
        flips: average over mirror images, four times (2D) or eight times (3D) the work.
        preview: write a picture of each case.
    """

    modality: Modality | None = None
    slope: float = 1.0
    intercept: float = 0.0
    per_label: bool = False
    probabilities: bool = False
    largest: bool = False
    fill: bool = False
    flips: bool = False
    preview: bool = False


@dataclass
class Predicted:
    """What came of all images.

    Attributes:
        done: of each segmented image its measurements.
        failed: name of each other image, and why.
    """

    done: list[tuple[Image, list[Measurement]]] = field(default_factory=list)
    failed: dict[str, FlaresegError] = field(default_factory=dict)


def predict(
    model: Trained,
    inputs: Sequence[Input],
    folder: Path,
    wishes: Wishes,
    progress: Callable[[Input], None] = lambda source: None,
) -> Predicted:
    """Segment images and write the results.

    Args:
        model: the network and its task, on the device where it is to compute.
        inputs: the images.
        folder: where results go; made when missing.
        wishes: what is to be made.
        progress: called before each image.

    Raises:
        SettingsError: the folder cannot be written to, or the disk is full.
    """
    outcome = Predicted()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for source in inputs:
            progress(source)
            try:
                outcome.done.append(_predict(model, source, folder, wishes))
            except FlaresegError as error:
                outcome.failed[source.name] = error
            except (MemoryError, torch.OutOfMemoryError):
                outcome.failed[source.name] = _too_large(source)
        if outcome.done:
            write_sidecars(folder, model.task)
            write_tables(folder, outcome.done, model.task)
    except OSError as error:
        raise SettingsError(
            f"{folder}: cannot be written to ({error.strerror or error}).",
            "Free space there, or choose another folder.",
        ) from None
    return outcome


def _predict(model: Trained, source: Input, folder: Path, wishes: Wishes) -> tuple[Image, list[Measurement]]:
    task = model.task
    try:
        image = read_image(source, task, wishes.modality, wishes.slope, wishes.intercept)
    except OSError as error:
        raise DataError(
            f"{source.path}: cannot be read ({error.strerror or error}).",
            "Check the file and its permissions.",
            code=ErrorCode.UNREADABLE_IMAGE,
            case=source.name,
        ) from None
    result = segment_image(model, image, flips=wishes.flips, probabilities=wishes.probabilities)
    masks = clean(result.masks, task, largest=wishes.largest, fill=wishes.fill)
    signs = result.agreement if result.agreement is not None else result.certainty
    found = measure_masks(masks, image.spacing, task, signs, image.modality == "RGB")
    _write(image, masks, folder, wishes, task)
    if result.probabilities is not None:
        for label, volume in zip(task.labels, result.probabilities, strict=True):
            write_volume(folder / f"{source.name}.{label}.probability", volume, image)
    # What would be as large as all cases together is not kept.
    return replace(image, values=image.values[:, :0], series=None), found


def _write(image: Image, masks: np.ndarray, folder: Path, wishes: Wishes, task: Task) -> None:
    name = image.source.name
    if wishes.per_label:
        for label, mask in zip(task.labels, masks, strict=True):
            write_volume(folder / f"{name}.{label}", mask.astype(np.uint8), image)
    else:
        write_volume(folder / name, label_map(masks, task), image)
    if wishes.preview:
        write_whole(folder / f"{name}.preview.png", montage(image, masks, task))
    if image.source.kind == "dicom" and masks.any():
        try:
            write_whole(folder / f"{name}.seg.dcm", dicom_seg(image, masks, task))
        except DataError as error:  # the label map is there
            image.doubts.append(f"no DICOM-SEG was written: {error.message}")


def _too_large(source: Input) -> DataError:
    return DataError(
        f"{source.path}: there is not enough memory for it.",
        "Close other programs, or leave --flips and --probabilities out.",
        code=ErrorCode.OUT_OF_MEMORY,
        case=source.name,
    )
