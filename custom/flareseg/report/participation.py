"""Who took part in a round, who did not, and why, as sentences."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

from pydantic import BaseModel

from flareseg.record.run import Evaluation, RoundRecord

Participation = Literal["accepted", "refused", "failed", "late", "absent", "disconnected", "open"]
Stage = Literal["training", "scoring"]

_PHRASES: dict[Participation, str] = {
    "refused": "was refused",
    "failed": "failed",
    "late": "came late",
    "absent": "was absent",
    "disconnected": "was not connected",
    "open": "was still at work",
}


class Shortfall(BaseModel):
    """A site that did not count, in which rounds, and what is known of the cause.

    ``rounds`` is empty for the scoring after training.
    """

    site: str
    stage: Stage
    state: Participation
    rounds: list[int]
    detail: str

    @property
    def sentence(self) -> str:
        """For example ``was absent in rounds 9-24``, without the site's name."""
        if self.stage == "scoring":
            return (
                "failed in the scoring after training" if self.state == "failed" else "was not scored on its test set"
            )
        plural = "s" if len(self.rounds) > 1 else ""
        return f"{_PHRASES[self.state]} in round{plural} {rounds_in_words(self.rounds)}"


def all_sites(rounds: Iterable[RoundRecord]) -> list[str]:
    """Every site that was expected or heard of in any round, sorted."""
    names: set[str] = set()
    for item in rounds:
        names.update(item.expected, item.accepted, item.refused, item.failed, item.late, item.absent, item.cut_off)
    return sorted(names)


def participation_of(item: RoundRecord, site: str) -> Participation:
    """What a site was in one round.

    A site the server had no connection to when the round began is ``disconnected``; ``open`` is a site still at work in
    a round that never closed.
    """
    states: dict[Participation, Iterable[str]] = {
        "accepted": item.accepted,
        "refused": item.refused,
        "failed": item.failed,
        "late": item.late,
        "absent": item.absent,
    }
    for state, members in states.items():
        if site in members:
            return state
    if site not in item.expected:
        return "disconnected"
    return "absent" if item.seconds else "open"


def shortfalls(rounds: Sequence[RoundRecord], evaluation: Evaluation) -> list[Shortfall]:
    """Gather who did not count, one entry for each site, state and cause, in the order of the rounds."""
    found: dict[tuple[str, Participation, str], Shortfall] = {}
    for item in rounds:
        for site in all_sites(rounds):
            state = participation_of(item, site)
            if state == "accepted":
                continue
            detail = item.refused.get(site, "") if state == "refused" else ""
            if state == "failed":
                detail = str(item.failed[site])
            entry = found.setdefault(
                (site, state, detail), Shortfall(site=site, stage="training", state=state, rounds=[], detail=detail)
            )
            entry.rounds.append(item.round)
    scoring = [
        Shortfall(
            site=site,
            stage="scoring",
            state="failed" if site in evaluation.failed else "absent",
            rounds=[],
            detail=str(evaluation.failed[site]) if site in evaluation.failed else "",
        )
        for site in sorted({*evaluation.expected, *evaluation.failed})
        if site in evaluation.failed or (evaluation.winner is not None and site not in evaluation.testing)
    ]
    return [*found.values(), *scoring]


def subset_reason(missing: Sequence[Shortfall]) -> str:
    """One sentence for each site that did not count everywhere."""
    sites = sorted({item.site for item in missing})
    return " ".join(f"{site} {_listing([item.sentence for item in missing if item.site == site])}." for site in sites)


def rounds_in_words(rounds: Iterable[int]) -> str:
    """Write rounds as ranges, counted from 1 as everywhere people read: rounds 2, 4, 5 and 6 of NVFlare are 3, 5-7."""
    ranges: list[list[int]] = []
    for number in (item + 1 for item in sorted(rounds)):
        if ranges and number == ranges[-1][1] + 1:
            ranges[-1][1] = number
        else:
            ranges.append([number, number])
    return ", ".join(str(first) if first == last else f"{first}-{last}" for first, last in ranges)


def _listing(phrases: Sequence[str]) -> str:
    unique = list(dict.fromkeys(phrases))
    return unique[0] if len(unique) == 1 else f"{', '.join(unique[:-1])} and {unique[-1]}"
