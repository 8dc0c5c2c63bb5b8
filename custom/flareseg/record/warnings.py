"""What in a run's record whoever uses its model should look at."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flareseg.aggregation.selection import far_sites, lone_preferences

if TYPE_CHECKING:
    from flareseg.record.run import RunRecord

AGAINST = -0.1
"""An update points against the others' where the cosine is below this."""
IN_A_ROW = 3


def unimproved(record: RunRecord) -> bool:
    """Whether the winner is the model that training began with."""
    note = record.models.get(record.evaluation.winner or "")
    return note is not None and note.rounds_done == 0


def warnings_of(record: RunRecord) -> list[str]:
    """One sentence for each thing, in a fixed order."""
    found = []
    if unimproved(record):
        found.append(
            "The winner is the model that training began with: on the validation sets no round made a better one."
        )
    found += _against(record)
    evaluation = record.evaluation
    winner = evaluation.validation.get(evaluation.winner or "")
    if winner is None:
        return found
    of_winner = {site: scores.mean for site, scores in winner.items() if scores.mean is not None}
    for site, nearest in far_sites(of_winner).items():
        mine = f"{site} scores the winner {of_winner[site]:.2f}"
        found.append(f"{mine}, the nearest other site {nearest:.2f}{_alone(record, site)}.")
    for name, scores in evaluation.validation.items():
        means = {site: score.mean for site, score in scores.items() if score.mean is not None}
        for site, much in lone_preferences(of_winner, means).items():
            found.append(f"{site} alone prefers the model {name}, by {much:.2f}{_alone(record, site)}.")
    return found


def _against(record: RunRecord) -> list[str]:
    """Sites whose updates pointed against the others' in several rounds in a row."""
    found = []
    for site in sorted({site for item in record.rounds for site in item.updates.cosines}):
        longest = run = 0
        for item in record.rounds:
            run = run + 1 if item.updates.cosines.get(site, 0.0) < AGAINST else 0
            longest = max(longest, run)
        if longest >= IN_A_ROW:
            found.append(f"The updates of {site} pointed against those of the others in {longest} rounds in a row.")
    return found


def _alone(record: RunRecord, site: str) -> str:
    modality = record.modalities.get(site)
    alone = modality is not None and list(record.modalities.values()).count(modality) == 1
    return f" (it is the only {modality} site)" if alone else ""
