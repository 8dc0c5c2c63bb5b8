"""Which global models are kept on the way (the best on the whole, the best for small targets), and their ranking."""

from __future__ import annotations

from collections.abc import Mapping

from flareseg.aggregation.selection import gain, mean_score
from flareseg.record.messages import ScoresMessage
from flareseg.record.run import ModelNote

MODEL_LAST, MODEL_BEST, MODEL_BEST_SMALL = "last", "best", "best_small"
"""Names of the models that a run keeps."""


def site_dice(scores: Mapping[str, ScoresMessage]) -> dict[str, float]:
    """Dice of each site that could score, the mean over its labels."""
    return {site: score.mean for site, score in sorted(scores.items()) if score.mean is not None}


def site_small_dice(scores: Mapping[str, ScoresMessage]) -> dict[str, float]:
    """Dice of the small targets at each site that has any."""
    return {site: score.small.mean for site, score in sorted(scores.items()) if score.small.mean is not None}


def better_models(
    scores: Mapping[str, ScoresMessage], kept: Mapping[str, ModelNote], rounds_done: int
) -> dict[str, ModelNote]:
    """Under which names the model of these scores is to be kept, and the note of each.

    Better is what :func:`flareseg.aggregation.selection.gain` says: no site alone has much influence.

    Args:
        scores: of the sites.
        kept: the notes of the models kept so far, by name.
        rounds_done: rounds that the model has seen.
    """
    found = {}
    for name, sites in ((MODEL_BEST, site_dice(scores)), (MODEL_BEST_SMALL, site_small_dice(scores))):
        score = mean_score(sites.values())
        if score is not None and (name not in kept or _is_better(sites, score, kept[name])):
            found[name] = ModelNote(rounds_done=rounds_done, score=score, sites=sites)
    return found


def _is_better(sites: dict[str, float], score: float, kept: ModelNote) -> bool:
    """By the sites that scored both models; where there are none, by the means."""
    if sites.keys() & kept.sites.keys():
        return gain(sites, kept.sites) > 0
    return kept.score is None or score > kept.score


def rank(validation: Mapping[str, Mapping[str, ScoresMessage]]) -> dict[str, dict[str, float]]:
    """Site Dice of each model, of the sites that scored every model."""
    models = {name: site_dice(scores) for name, scores in validation.items()}
    everywhere = set.intersection(*(set(sites) for sites in models.values())) if models else set()
    return {name: {site: sites[site] for site in sorted(everywhere)} for name, sites in models.items() if everywhere}
