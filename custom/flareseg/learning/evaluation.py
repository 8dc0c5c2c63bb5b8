"""A trained model scored on a site's own cases, without any federation."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from flareseg.config.site import Site
from flareseg.data.cache import Volume
from flareseg.data.case import SPLITS, Case, SplitName
from flareseg.data.datalist import load_listing
from flareseg.data.site_data import SiteData
from flareseg.errors import DataError, ErrorCode
from flareseg.learning.learner import Learner
from flareseg.learning.metrics import CaseScores, Score, Scores
from flareseg.learning.trained import Trained


@dataclass(frozen=True)
class ScoredCase:
    """A case and its scores; both stay at the site.

    Attributes:
        case: files and names.
        split: the case's split.
        number: its place in the split.
        scores: of the model on it.
    """

    case: Case
    split: SplitName
    number: int
    scores: CaseScores

    @property
    def mean(self) -> float:
        """Mean Dice over the annotated labels that it has, NaN where it has none."""
        return Score.of(self.scores.dice.values()).mean


@dataclass(frozen=True)
class SiteScores:
    """Scores of one model on some splits of one site.

    Attributes:
        data: the volumes, as long as the cache is there.
        splits: which were scored.
        labels: the task's labels that are annotated at the site.
        cases: in the order of the site's data.
    """

    data: SiteData
    splits: tuple[SplitName, ...]
    labels: list[str]
    cases: list[ScoredCase]

    @property
    def scores(self) -> Scores:
        """Means over the cases: what a federation would have been sent."""
        return Scores.of([item.scores for item in self.cases], self.labels)

    @property
    def ranked(self) -> list[ScoredCase]:
        """The cases that could be scored, from the lowest mean Dice to the highest."""
        return sorted((item for item in self.cases if math.isfinite(item.mean)), key=lambda item: item.mean)

    @property
    def by_score(self) -> dict[str, list[float]]:
        """Each score, in words, with the values of the cases that have one."""
        values = {label: [item.scores.dice[label] for item in self.cases] for label in self.labels}
        lesion = self.data.task.lesion
        if lesion is not None and lesion.label in self.labels:
            bound = f"{lesion.small:g} {lesion.unit}"
            values[f"{lesion.label}, small (< {bound})"] = [item.scores.small for item in self.cases]
            values[f"{lesion.label}, large"] = [item.scores.large for item in self.cases]
        return {score: [value for value in several if math.isfinite(value)] for score, several in values.items()}

    def volume(self, item: ScoredCase) -> Volume:
        """A case as the network saw it."""
        return self.data.volumes(item.split)[item.number]


def held_out(site: Site) -> tuple[SplitName, ...]:
    """The splits that say what a model is worth at a site: testing, or validation where there is no testing.

    Raises:
        DataError: the site has neither.
    """
    splits = load_listing(site.data, to_train=False).splits
    for split in ("testing", "validation"):
        if splits[split]:
            return (split,)
    raise DataError(
        f"{site.data.root}: no testing and no validation cases.",
        "Hold some out in the datalist, or by data.split in site.yaml; flareseg evaluate --split all takes every case.",
        code=ErrorCode.NO_DATA,
    )


def score_site(
    model: Trained,
    site: Site,
    cache: Path,
    splits: Sequence[SplitName] | None = None,
    warn: Callable[[str], None] = lambda line: None,
) -> SiteScores:
    """Score a model on a site's cases, by the learner that scores in a federation.

    Args:
        model: the network and its task.
        site: where the data is.
        cache: folder for prepared volumes where ``site.cache`` names none.
        splits: which to score; :func:`held_out` where not given.
        warn: takes a line for each case that is left out.

    Raises:
        DataError: a case cannot be used, or there is none.
    """
    splits = held_out(site) if splits is None else tuple(split for split in SPLITS if split in splits)
    data = SiteData(model.task, site, cache, warn, only=splits)
    if not any(len(data.volumes(split)) for split in splits):
        raise DataError(
            f"{site.data.root}: no {' and no '.join(splits)} cases.",
            "Choose another --split, or correct data in site.yaml.",
            code=ErrorCode.NO_DATA,
        )
    learner = Learner(model.task, data, "evaluation")
    state = model.network.state_dict()
    cases = [
        ScoredCase(data.volumes(split).cases[number], split, number, scores)
        for split in splits
        for number, scores in enumerate(learner.score_cases(state, split))
    ]
    return SiteScores(data, splits, learner.annotated_labels, cases)
