"""The page that never leaves a site: overlays of prediction and truth, and GIN samples."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from flareseg.augmentations.gin import GIN
from flareseg.config.site import Site
from flareseg.config.task import Task
from flareseg.report.overlays import LABEL_COLORS, png_address, slice_picture
from flareseg.report.page import render, write_text

if TYPE_CHECKING:
    from flareseg.report.site_cases import Segmented

_GIN_SAMPLES = 4
_GREY_PERCENTILES = (0.5, 99.5)


def write_site_report(task: Task, site: Site, model: Path, folder: Path, *, cases: int = 3, name: str) -> Path:
    """Write ``<name>.html``: some held-out volumes with contours, their Dice, and what GIN makes of them.

    Args:
        task: what the model was trained on.
        site: the site's settings.
        model: a model file of the job's result.
        folder: where the page goes; made when missing.
        cases: show at most so many volumes.
        name: the site's name.

    Returns:
        The path of the page.

    Raises:
        DataError: the site's data cannot be used.
        FlaresegError: the model file cannot be used, or is of another task.
    """
    # PyTorch takes seconds to import, and the other reports do without.
    from flareseg.report.site_cases import chosen_cases, gin_samples, segment

    split, chosen, available = chosen_cases(site, cases)
    volumes = segment(task, site, model, chosen)
    labels = [label for label in task.labels if site.labels[label] is not None]
    gin = []
    settings = next((item for item in task.augmentation if isinstance(item, GIN)), None)
    if settings is not None:
        for item in volumes[:2]:
            number = item.slices[len(item.slices) // 2]
            samples = gin_samples(item, settings, task, name, _GIN_SAMPLES)
            gin.append(
                {
                    "case": item.name,
                    "slice": number,
                    "original": png_address(slice_picture(item.image[..., number], item.spacing)),
                    "samples": [
                        png_address(slice_picture(sample, item.spacing, window=_grey_range(sample, settings)))
                        for sample in samples
                    ],
                }
            )
    unit = "pixels" if site.modality == "RGB" else "ml"
    page = folder / f"{name}.html"
    text = render(
        "site.html.j2",
        name=name,
        task=task,
        modality=site.modality,
        split=split,
        available=available,
        model=model.name,
        labels=labels,
        unannotated=[label for label in task.labels if label not in labels],
        colors=[LABEL_COLORS[index % len(LABEL_COLORS)] for index in range(len(labels))],
        volumes=[_shown(item, unit) for item in volumes],
        unit=unit,
        gin=gin,
    )
    write_text(page, text)
    return page


def _shown(item: Segmented, unit: str) -> dict[str, Any]:
    voxel = float(item.spacing.prod()) / (1000 if unit == "ml" else 1)
    return {
        "name": item.name,
        "shape": " × ".join(map(str, item.image.shape[1:])),
        "spacing": " × ".join(f"{value:.2f}" for value in item.spacing),
        "dice": item.dice,
        "truth_size": [float(mask.sum()) * voxel for mask in item.truth],
        "predicted_size": [float(mask.sum()) * voxel for mask in item.prediction],
        "slices": [
            {
                "number": number,
                "image": png_address(
                    slice_picture(
                        item.image[..., number], item.spacing, item.truth[..., number], item.prediction[..., number]
                    )
                ),
            }
            for number in item.slices
        ],
    }


def _grey_range(sample: np.ndarray, settings: GIN) -> tuple[float, float]:
    """Give the range of a GIN sample without its border, where the zeros around the image shine through."""
    border = settings.layers * (max(settings.kernel_sizes) // 2) + 1
    inner = sample[:, border:-border, border:-border]
    low, high = np.percentile(inner if inner.size else sample, _GREY_PERCENTILES)
    return float(low), float(high)
