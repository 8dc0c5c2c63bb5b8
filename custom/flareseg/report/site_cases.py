"""A few of a site's volumes, segmented and drawn. Imports PyTorch, so it is imported only where a page needs it."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from flareseg.augmentations.gin import GIN
from flareseg.config.site import Site
from flareseg.config.task import Task
from flareseg.data.cache import Cache, Volume
from flareseg.data.case import Case, SplitName
from flareseg.data.datalist import load_cases
from flareseg.errors import DataError, ErrorCode
from flareseg.learning.metrics import dice_per_label
from flareseg.learning.predict import predict_logits
from flareseg.learning.seeding import generator
from flareseg.learning.trained import network_of
from flareseg.record.model_file import load_model
from flareseg.report.overlays import informative_slices


@dataclass(frozen=True)
class Segmented:
    """One volume with its prediction, for the labels that the site has annotated.

    Attributes:
        name: of the case; it stays at the site.
        image: float32 (C, X, Y, Z) in [0, 1].
        truth: bool (L, X, Y, Z).
        prediction: bool (L, X, Y, Z).
        spacing: (3,) in mm.
        dice: for each label, None where it is absent from both.
        slices: indices along Z that are worth a look.
    """

    name: str
    image: np.ndarray
    truth: np.ndarray
    prediction: np.ndarray
    spacing: np.ndarray
    dice: list[float | None]
    slices: list[int]


def chosen_cases(site: Site, count: int) -> tuple[SplitName, list[Case], int]:
    """The first cases of the testing split, or of the validation split where there is no testing.

    Returns:
        The split, the cases, and how many the split has in all.

    Raises:
        DataError: the site has neither testing nor validation cases.
    """
    splits = load_cases(site.data)
    for split in ("testing", "validation"):
        if cases := splits[split]:
            return split, cases[:count], len(cases)
    raise DataError(
        f"{site.data.root}: no testing and no validation cases to show.",
        "Hold some out in the datalist, or by data.split in site.yaml.",
        code=ErrorCode.NO_DATA,
    )


@torch.no_grad()
def segment(task: Task, site: Site, model: Path, cases: Sequence[Case]) -> list[Segmented]:
    """Apply a model to some cases of a site.

    Raises:
        DataError: a case cannot be used.
        FlaresegError: the model file cannot be used, is encrypted or of another task, or the task has local parameters.
    """
    network = network_of(model, load_model(model)[0], task)
    cuda = torch.cuda.is_available() and site.device != "cpu"
    network.to("cuda" if cuda else "cpu")
    annotated = [index for index, label in enumerate(task.labels) if site.labels[label] is not None]
    with tempfile.TemporaryDirectory(prefix="flareseg-report-") as scratch:
        store = Cache(site.cache or Path(scratch), task, site)
        return [_segment(case, store.load(case), network, task, annotated) for case in cases]


def _segment(case: Case, volume: Volume, network: torch.nn.Module, task: Task, annotated: list[int]) -> Segmented:
    image = np.array(volume.image, order="C")
    logits = predict_logits(network, image, task)
    prediction = logits[annotated] > 0
    truth = torch.from_numpy(np.array(volume.label[annotated])).bool()
    dice = dice_per_label(prediction, truth).tolist()
    return Segmented(
        name=case.name,
        image=image,
        truth=truth.numpy(),
        prediction=prediction.numpy(),
        spacing=volume.spacing,
        dice=[None if np.isnan(value) else value for value in dice],
        slices=informative_slices(truth.numpy(), prediction.numpy()),
    )


def gin_samples(item: Segmented, settings: GIN, task: Task, site: str, count: int) -> list[np.ndarray]:
    """Show a slice as GIN changes it in training; every sample is changed.

    Returns:
        ``count`` slices, float32 (C, X, Y), of the volume's middle slice among those chosen.
    """
    number = item.slices[len(item.slices) // 2]
    if task.spatial_dims == 3:
        low = max(0, min(number - task.patch[2] // 2, item.image.shape[3] - task.patch[2]))
        image, inside = item.image[..., low : low + task.patch[2]], number - low
    else:
        image, inside = item.image[..., number], None
    seed = int(generator(task.training.seed, site, 0, "gin samples").integers(2**32))
    always = settings.model_copy(update={"probability": 1.0, "clean_share": 0.0})
    gin = always.build(np.random.RandomState(seed))
    x, no_labels = torch.from_numpy(np.ascontiguousarray(image))[None], torch.zeros(0)
    samples = [gin(x, no_labels, np.zeros(1, dtype=int))[0][0].numpy() for _ in range(count)]
    return samples if inside is None else [sample[..., inside] for sample in samples]
