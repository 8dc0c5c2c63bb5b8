"""The page that never leaves a site: overlays of prediction and truth, and GIN samples."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from markupsafe import Markup

from flareseg.augmentations.gin import GIN
from flareseg.config.site import Site
from flareseg.config.task import Task
from flareseg.data.case import SplitName
from flareseg.report.figures import dot_panel
from flareseg.report.overlays import LABEL_COLORS, png_address, slice_picture
from flareseg.report.page import render, write_text

if TYPE_CHECKING:
    from flareseg.learning.evaluation import SiteScores
    from flareseg.learning.trained import Trained
    from flareseg.report.site_cases import Segmented

_GIN_SAMPLES = 4
_LABELS_OF_A_PANEL = 3
_GREY_PERCENTILES = (0.5, 99.5)


def write_site_report(
    model: Trained,
    site: Site,
    folder: Path,
    *,
    name: str,
    model_name: str,
    splits: Sequence[SplitName] | None = None,
    warn: Callable[[str], None] = lambda line: None,
) -> tuple[Path, SiteScores]:
    """Write ``<name>.html``: the Dice of all held-out volumes, contours on three of them, and what GIN makes of them.

    Args:
        model: the network and its task.
        site: the site's settings.
        folder: where the page goes; made when missing.
        name: the site's name.
        model_name: what the page calls the model.
        splits: which to score; testing, or validation where there is no testing, if not given.
        warn: takes a line for each case that is left out.

    Returns:
        The path of the page, and the scores that it shows.

    Raises:
        DataError: the site's data cannot be used.
    """
    # PyTorch takes seconds to import, and the other reports do without.
    from flareseg.learning.evaluation import score_site
    from flareseg.report.site_cases import segment, worst_median_best

    with tempfile.TemporaryDirectory(prefix="flareseg-report-") as scratch:
        evaluation = score_site(model, site, site.cache or Path(scratch), splits, warn)
        chosen = worst_median_best(evaluation)
        volumes = [segment(model, evaluation, item, role) for role, item in chosen]
        gin = _gin_rows(volumes, model.task, name)
    labels = evaluation.labels
    unit = "pixels" if site.modality == "RGB" else "ml"
    page = folder / f"{name}.html"
    text = render(
        "site.html.j2",
        name=name,
        task=model.task,
        modality=site.modality,
        splits=evaluation.splits,
        count=len(evaluation.cases),
        model=model_name,
        labels=labels,
        unannotated=[label for label in model.task.labels if label not in labels],
        colors=[LABEL_COLORS[index % len(LABEL_COLORS)] for index in range(len(labels))],
        rows=list(evaluation.by_score.items()),
        dots=_dots(evaluation),
        volumes=[_shown(item, unit) for item in volumes],
        unit=unit,
        gin=gin,
    )
    write_text(page, text)
    return page, evaluation


def _dots(evaluation: SiteScores) -> list[Markup]:
    """Every volume's Dice as a dot, a few labels in each panel; a volume without the label has none."""
    groups = [
        evaluation.labels[start : start + _LABELS_OF_A_PANEL]
        for start in range(0, len(evaluation.labels), _LABELS_OF_A_PANEL)
    ]
    return [
        dot_panel(
            ", ".join(group),
            {
                label: [value for item in evaluation.cases if math.isfinite(value := item.scores.dice[label])]
                for label in group
            },
            key=f"dice{number}",
            y_limits=(0.0, 1.0),
        )
        for number, group in enumerate(groups)
    ]


def _gin_rows(volumes: Sequence[Segmented], task: Task, name: str) -> list[dict[str, Any]]:
    """Two of the drawn slices, each with samples of GIN; nothing where the task trains without."""
    from flareseg.report.site_cases import gin_samples

    settings = next((item for item in task.augmentation if isinstance(item, GIN)), None)
    if settings is None:
        return []
    rows = []
    for item in volumes[:2]:
        number = item.slices[len(item.slices) // 2]
        samples = gin_samples(item, settings, task, name, _GIN_SAMPLES)
        rows.append(
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
    return rows


def _shown(item: Segmented, unit: str) -> dict[str, Any]:
    voxel = float(item.spacing.prod()) / (1000 if unit == "ml" else 1)
    return {
        "name": item.name,
        "role": item.role,
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
