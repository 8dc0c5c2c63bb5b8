"""A model judged on a site's labelled images: what may be handed on, and what stays."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import flareseg
from flareseg.config.site import Site
from flareseg.data.case import SplitName
from flareseg.errors import SettingsError
from flareseg.files import json_bytes, write_whole
from flareseg.learning.evaluation import SiteScores
from flareseg.learning.trained import Trained
from flareseg.report.site import write_site_report

SCORES_FILE = "scores.json"
"""Means and numbers of volumes; the only file of the folder that may be handed on."""
CASE_SCORES_FILE = "cases.csv"
"""A row for each case, with its name."""


@dataclass(frozen=True)
class Judged:
    """What an evaluation wrote.

    Attributes:
        evaluation: the scores.
        page: with images; it stays at the site.
        cases: :data:`CASE_SCORES_FILE`, which stays at the site.
        scores: :data:`SCORES_FILE`.
    """

    evaluation: SiteScores
    page: Path
    cases: Path
    scores: Path


def evaluate_model(
    model: Trained,
    site: Site,
    folder: Path,
    *,
    digest: str,
    name: str = "evaluation",
    splits: Sequence[SplitName] | None = None,
    warn: Callable[[str], None] = lambda line: None,
) -> Judged:
    """Score a model on a site and write the page, the cases and the numbers.

    Args:
        model: the network and its task.
        site: the site's settings, which fit the task.
        folder: where the files go; made when missing.
        digest: SHA-256 of the model's weights file, by which the numbers say what they are of.
        name: the site's name, as its page calls it.
        splits: which to score; testing, or validation where there is no testing, if not given.
        warn: takes a line for each case that is left out.

    Raises:
        DataError: a case cannot be used, or there is none.
        SettingsError: the folder cannot be written to.
    """
    try:
        page, evaluation = write_site_report(
            model, site, folder, name=name, model_name=f"{model.task.name}, {digest[:8]}", splits=splits, warn=warn
        )
        write_whole(folder / CASE_SCORES_FILE, case_table(evaluation))
        write_whole(folder / SCORES_FILE, json_bytes(numbers(model, site, evaluation, digest)))
    except OSError as error:
        raise SettingsError(
            f"{folder}: cannot be written to ({error.strerror or error}).",
            "Free space there, or choose another folder.",
        ) from None
    return Judged(evaluation, page, folder / CASE_SCORES_FILE, folder / SCORES_FILE)


def numbers(model: Trained, site: Site, evaluation: SiteScores, digest: str) -> dict[str, Any]:
    """What a federation's lead would have been sent: means with their number of volumes, and of which model.

    No name of a case or site, no path, no value of a single case where there are several.
    """
    return {
        "flareseg": flareseg.__version__,
        "task": model.task.name,
        "task_digest": model.task.digest(),
        "model_sha256": digest,
        "modality": site.modality,
        "splits": list(evaluation.splits),
        "volumes": len(evaluation.cases),
        "excluded": evaluation.data.excluded,
        "left_out": evaluation.data.left_out,
        "scores": evaluation.scores.as_dict(),
    }


def case_table(evaluation: SiteScores) -> bytes:
    """CSV from the worst case to the best, then those without a score: an empty field is a score that a case lacks."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["case", "split", "mean", *evaluation.labels, "small", "large", "loss"])
    for item in sorted(evaluation.cases, key=lambda item: item.mean if math.isfinite(item.mean) else math.inf):
        scores = item.scores
        values = [item.mean, *(scores.dice[label] for label in evaluation.labels), scores.small, scores.large]
        row = [f"{value:.4f}" if math.isfinite(value) else "" for value in [*values, scores.loss]]
        writer.writerow([item.case.name, item.split, *row])
    return text.getvalue().encode(errors="backslashreplace")
