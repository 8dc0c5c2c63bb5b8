"""Which of several models the sites find best, where one site may lie."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

INFLUENCE = 0.1
"""By how much Dice one site can say at the most that it prefers one model to another."""
FAR = 0.3
"""A site whose Dice is so far from every other site's is named."""

ScoreOfSite = Mapping[str, float]
"""Site to its Dice of one model."""


def gain(new: ScoreOfSite, old: ScoreOfSite) -> float:
    """How much better one model is than another: the sites' differences added up, each within ±:data:`INFLUENCE`.

    Only sites that scored both count, so no model gains by a missing site, and a site's level, which differs with its
    images, does not matter. Where the other sites find no difference, one decides; where two others prefer a model by
    more than half of :data:`INFLUENCE` each, one against them cannot turn it. Between models that the others find
    closer than that, a liar cannot be distinguished from a site that sees what they do not, such as the only MR site.

    Example:
        >>> round(gain({"ct-a": 0.8, "ct-b": 0.7, "mr-a": 0.6}, {"ct-a": 0.8, "ct-b": 0.7, "mr-a": 0.3}), 2)
        0.1
        >>> round(gain({"ct-a": 0.1, "ct-b": 0.1, "liar": 1.0}, {"ct-a": 0.2, "ct-b": 0.2, "liar": 0.0}), 2)
        -0.1
    """
    return sum(_counted(new[site] - old[site]) for site in sorted(new.keys() & old.keys()))


def best_model(models: Mapping[str, ScoreOfSite]) -> str | None:
    """The model whose worst comparison with another is the best (minimax); of equals the first.

    A model that is better than each other one by :func:`gain` is the winner in any case.

    Args:
        models: name to its scores; None is given where there is none that a site scored.
    """
    scored = {name: scores for name, scores in models.items() if scores}
    if not scored:
        return None
    worst = {
        name: min((gain(scores, other) for rival, other in scored.items() if rival != name), default=0.0)
        for name, scores in scored.items()
    }
    return max(worst, key=lambda name: worst[name])


def mean_score(values: Iterable[float | None]) -> float | None:
    """Mean over sites, each counting once; None where no site has a value."""
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def far_sites(scores: ScoreOfSite) -> dict[str, float]:
    """Sites whose Dice is more than :data:`FAR` from that of each of two or more others, with the nearest of these."""
    nearest = {
        site: min((value for other, value in scores.items() if other != site), key=lambda value: abs(value - mine))
        for site, mine in sorted(scores.items())
        if len(scores) > 2
    }
    return {site: other for site, other in nearest.items() if abs(scores[site] - other) > FAR}


def lone_preferences(winner: ScoreOfSite, other: ScoreOfSite) -> dict[str, float]:
    """Sites that prefer the other model by more than is counted, while the rest together prefer the winner."""
    both = sorted(winner.keys() & other.keys())
    found = {}
    for site in both:
        mine = other[site] - winner[site]
        rest = sum(_counted(winner[name] - other[name]) for name in both if name != site)
        if mine > INFLUENCE and rest > 0 and len(both) > 2:
            found[site] = mine
    return found


def _counted(difference: float) -> float:
    return max(-INFLUENCE, min(INFLUENCE, difference))
