from __future__ import annotations

from typing import Any

from flareseg.record.messages import ScoreMessage, ScoresMessage
from flareseg.record.run import Evaluation, ModelNote, RoundRecord, RunRecord, UpdateNotes
from flareseg.record.warnings import warnings_of

SITES = ("ct-a", "ct-b", "mr-a")


def scores(**dice: float) -> dict[str, ScoresMessage]:
    none = ScoreMessage(mean=None, volumes=0)
    return {
        site.replace("_", "-"): ScoresMessage(
            dice={"liver": ScoreMessage(mean=value, volumes=1)}, small=none, large=none, loss=None
        )
        for site, value in dice.items()
    }


def run(best_after: int = 2, cosines: tuple[float, ...] = (), **evaluation: Any) -> RunRecord:
    rounds = [
        RoundRecord(
            round=number,
            expected=[*SITES],
            accepted=[*SITES],
            seconds=1.0,
            updates=UpdateNotes(cosines={"ct-b": cosine}),
        )
        for number, cosine in enumerate(cosines or (0.5, 0.5, 0.5))
    ]
    return RunRecord(
        job_id="x",
        job_name="x",
        versions={},
        task={"training": {"rounds": len(rounds)}},
        task_digest="",
        min_clients=2,
        started=0.0,
        modalities={"ct-a": "CT", "ct-b": "CT", "mr-a": "MR"},
        rounds=rounds,
        models={"last": ModelNote(rounds_done=len(rounds)), "best": ModelNote(rounds_done=best_after)},
        evaluation=Evaluation(expected=[*SITES], **evaluation),
    )


HONEST = scores(ct_a=0.6, ct_b=0.6, mr_a=0.5)


def test_a_healthy_run_has_none() -> None:
    record = run(winner="last", validation={"last": HONEST, "best": HONEST}, testing=HONEST)
    record.finish(1.0, set(SITES))
    assert (record.status, record.warnings) == ("complete", [])


def test_the_initial_model_as_winner_is_a_status_of_its_own() -> None:
    record = run(0, winner="best", validation={"last": scores(ct_a=0.1, ct_b=0.1, mr_a=0.1)}, testing=HONEST)
    record.finish(1.0, set(SITES))
    assert record.status == "unimproved"
    assert record.warnings[0].startswith("The winner is the model that training began with")


def test_updates_against_the_others_round_after_round_are_named() -> None:
    assert warnings_of(run(cosines=(-0.5, -0.5, 0.1, -0.5, -0.5))) == []
    (warning,) = warnings_of(run(cosines=(0.3, -0.5, -0.2, -0.11)))
    assert warning == "The updates of ct-b pointed against those of the others in 3 rounds in a row."


def test_a_site_far_from_the_others_and_a_lone_preference_are_named() -> None:
    last, best = scores(ct_a=0.8, ct_b=0.8, mr_a=0.2), scores(ct_a=0.7, ct_b=0.7, mr_a=0.9)
    found = warnings_of(run(winner="last", validation={"last": last, "best": best}, testing=last))
    assert found == [
        "mr-a scores the winner 0.20, the nearest other site 0.80 (it is the only MR site).",
        "mr-a alone prefers the model best, by 0.70 (it is the only MR site).",
    ]
