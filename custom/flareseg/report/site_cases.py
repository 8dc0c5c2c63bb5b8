"""A few of a site's volumes, segmented and drawn. Imports PyTorch, so it is imported only where a page needs it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch

from flareseg.augmentations.gin import GIN
from flareseg.config.task import Task
from flareseg.learning.evaluation import ScoredCase, SiteScores
from flareseg.learning.predict import predict_logits
from flareseg.learning.seeding import generator
from flareseg.learning.trained import Trained
from flareseg.report.overlays import informative_slices


@dataclass(frozen=True)
class Segmented:
    """One volume with its prediction, for the labels that the site has annotated.

    Attributes:
        name: of the case; it stays at the site.
        role: why it is drawn: worst, median, best.
        image: float32 (C, X, Y, Z) in [0, 1].
        truth: bool (L, X, Y, Z).
        prediction: bool (L, X, Y, Z).
        spacing: (3,) in mm.
        dice: for each label, None where it is absent from both.
        slices: indices along Z that are worth a look.
    """

    name: str
    role: str
    image: np.ndarray
    truth: np.ndarray
    prediction: np.ndarray
    spacing: np.ndarray
    dice: list[float | None]
    slices: list[int]


@torch.no_grad()
def segment(model: Trained, evaluation: SiteScores, item: ScoredCase, role: str) -> Segmented:
    """Apply a model to a scored case once more, to draw it.

    Args:
        model: the network and its task; the network's device is used.
        evaluation: gives the volume.
        item: one of its cases.
        role: why the case is drawn.
    """
    volume = evaluation.volume(item)
    annotated = evaluation.data.annotated
    image = np.array(volume.image, order="C")
    prediction = (predict_logits(model.network, image, model.task)[annotated] > 0).numpy()
    truth = np.array(volume.label[annotated], dtype=bool, order="C")
    dice = [item.scores.dice[label] for label in evaluation.labels]
    return Segmented(
        name=item.case.name,
        role=role,
        image=image,
        truth=truth,
        prediction=prediction,
        spacing=volume.spacing,
        dice=[None if math.isnan(value) else value for value in dice],
        slices=informative_slices(truth, prediction),
    )


def worst_median_best(evaluation: SiteScores) -> list[tuple[str, ScoredCase]]:
    """Choose up to three cases by their mean Dice, each with what it is; any case where none could be scored."""
    ranked = evaluation.ranked
    if len(ranked) < 2:
        return [("only", item) for item in ranked] or [("not scored", evaluation.cases[0])]
    chosen = {0: "worst", (len(ranked) - 1) // 2: "median", len(ranked) - 1: "best"}
    chosen[0] = "worst"  # of two cases the lower middle one is the worst
    return [(role, ranked[place]) for place, role in chosen.items()]


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
