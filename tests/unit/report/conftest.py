"""A run of three rounds with three sites, written down by hand."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from flareseg.config.task import Task
from flareseg.record.messages import RoundReport, ScoreMessage, ScoresMessage, SiteError
from flareseg.record.run import Evaluation, ModelNote, RoundRecord, RunRecord

TASK = Task.model_validate(
    {
        "name": "abdomen",
        "labels": ["liver", "spleen", "lesion"],
        "modalities": {"CT": {"window": [-160, 240]}, "MR": {"percentiles": [0.5, 99.5]}},
        "patch": [96, 96],
        "lesion": {"label": "lesion", "small_mm": 20},
        "training": {"rounds": 3, "seed": 7},
        "augmentation": [{"name": "gin"}],
        "fedgs": {"targets": {"lesion": {"threshold": 150}}},
    }
)
SITES = {"ct-a": "CT", "ct-b": "CT", "mr-a": "MR"}
REFUSAL = "variable <script>alert(1)</script> holds a value that is not finite"

Means = tuple[float | None, int]


def scores(
    liver: Means, spleen: Means, lesion: Means, small: Means = (None, 0), large: Means = (None, 0)
) -> ScoresMessage:
    dice = {name: _score(pair) for name, pair in (("liver", liver), ("spleen", spleen), ("lesion", lesion))}
    return ScoresMessage(dice=dice, small=_score(small), large=_score(large), loss=0.5)


def _score(pair: Means) -> ScoreMessage:
    return ScoreMessage(mean=pair[0], volumes=pair[1])


def training_round(number: int, accepted: list[str], overhead: float) -> RoundRecord:
    reports = {
        site: RoundReport(
            modality=SITES[site],
            seconds=2.0 + index,
            loss=1.0,
            mean_scale=1.2,
            scores=scores((0.1 * number, 2), (0.2, 2), (0.1, 2)),
        )
        for index, site in enumerate(accepted)
    }
    return RoundRecord(
        round=number,
        expected=list(SITES),
        accepted=accepted,
        sites=reports,
        bytes_sent=3000,
        bytes_received=1000 * len(accepted),
        seconds=1.0 + len(accepted) + overhead,
        overhead_seconds=overhead,
    )


@pytest.fixture
def complete() -> RunRecord:
    """Every site in every round; on the test set ct-b has three volumes of the liver, ct-a one."""
    validation = {site: scores((0.6, 2), (0.5, 2), (0.1, 2)) for site in SITES}
    return RunRecord(
        job_id="4c1b",
        job_name="fedgin-fedgs",
        versions={"flareseg": "0.1.0", "nvflare": "2.9.0"},
        task=TASK.model_dump(mode="json"),
        task_digest=TASK.digest(),
        min_clients=2,
        started=1763716000.0,
        finished=1763716060.0,
        status="complete",
        modalities=SITES,
        rounds=[training_round(number, list(SITES), overhead) for number, overhead in enumerate((0.9, 0.4, 0.5))],
        models={"last": ModelNote(rounds_done=3), "best": ModelNote(rounds_done=2, score=0.3)},
        evaluation=Evaluation(
            expected=list(SITES),
            validation={"last": validation, "best": validation},
            winner="last",
            testing={
                "ct-a": scores((0.9, 1), (0.8, 2), (0.2, 1), small=(0.1, 1), large=(0.6, 1)),
                "ct-b": scores((0.7, 3), (0.6, 2), (0.4, 3), small=(0.3, 3)),
                "mr-a": scores((0.5, 8), (None, 0), (None, 0)),
            },
        ),
    )


@pytest.fixture
def subset(complete: RunRecord) -> RunRecord:
    """ct-b refused in round 0, mr-a failed in round 1; ct-b absent in round 1 and lost in round 2."""
    complete.status = "subset"
    complete.rounds = [
        training_round(0, ["ct-a", "mr-a"], 0.9),
        training_round(1, ["ct-a"], 0.4),
        training_round(2, ["ct-a", "mr-a"], 0.5),
    ]
    first, second, third = complete.rounds
    first.refused = {"ct-b": REFUSAL}
    second.failed = {"mr-a": SiteError(code="UNREADABLE_IMAGE", case="0a1b2c3d4e")}
    second.absent = ["ct-b"]
    third.expected = ["ct-a", "mr-a"]
    complete.evaluation.testing.pop("ct-b")
    return complete


@pytest.fixture
def without_scores(complete: RunRecord) -> Callable[[str], RunRecord]:
    """Build a run in which nothing was evaluated, by its status."""

    def build(status: str) -> RunRecord:
        return complete.model_copy(update={"status": status, "finished": None, "evaluation": Evaluation()})

    return build
