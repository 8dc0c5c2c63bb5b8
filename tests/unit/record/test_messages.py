"""One site's report can break nobody else's: strict types, bounds, and all or none of what belongs together."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import ValidationError

from flareseg.aggregation.exact_sum import MAX_WEIGHT
from flareseg.config.task import MOST_STEPS, Task
from flareseg.learning.metrics import Score, Scores
from flareseg.record.messages import PrivacyMessage, RoundReport, ScoreMessage, ScoresMessage
from flareseg.report.scores import volume_mean
from tiny import TINY_TASK

REPORT: dict[str, Any] = {
    "modality": "CT",
    "seconds": 3.5,
    "loss": 0.5,
    "mean_scale": 1.2,
    "training_seconds": 3,
    "scores": {
        "dice": {"liver": {"mean": 0.5, "volumes": 2}, "spleen": {"mean": None, "volumes": 0}},
        "small": {"mean": 0.1, "volumes": 1},
        "large": {"mean": None, "volumes": 0},
        "loss": 0.25,
    },
    "privacy": {
        "scope": "dp",
        "epsilon": 1.5,
        "delta": 1e-5,
        "budget": 8.0,
        "noise_multiplier": 1.0,
        "sample_rate": 0.5,
        "rounds_left": 3,
    },
}


def test_an_honest_report_passes_and_is_kept_as_it_is() -> None:
    report = RoundReport.model_validate(REPORT)
    assert RoundReport.model_validate(json.loads(report.model_dump_json())) == report


SPOILT: dict[str, tuple[tuple[str, ...], Any]] = {
    "a count as text of 400 digits": (("scores", "dice", "liver", "volumes"), "9" * 400),
    "a count of 400 digits": (("scores", "dice", "liver", "volumes"), 10**400),
    "a count of 2^64 - 1": (("scores", "dice", "liver", "volumes"), 2**64 - 1),
    "a count of a million and one": (("scores", "dice", "liver", "volumes"), 1_000_001),
    "a count below 0": (("scores", "small", "volumes"), -1),
    "a count that is true": (("scores", "small", "volumes"), True),
    "a mean over nothing": (("scores", "small", "volumes"), 0),
    "a number of volumes without mean": (("scores", "dice", "liver", "mean"), None),
    "a Dice as text": (("scores", "dice", "liver", "mean"), "0.5"),
    "a Dice above 1": (("scores", "dice", "liver", "mean"), 1.5),
    "a Dice that is NaN": (("scores", "dice", "liver", "mean"), float("nan")),
    "a label of 101 characters": (("scores", "dice", "x" * 101), {"mean": 0.5, "volumes": 1}),
    "a loss of 1e300": (("loss",), 1e300),
    "a loss of 400 digits": (("loss",), 10**400),
    "infinite seconds": (("seconds",), float("inf")),
    "epsilon without delta": (("privacy", "delta"), None),
    "no rounds left to say": (("privacy", "rounds_left"), None),
    "a delta above 1": (("privacy", "delta"), 2.0),
    "rounds of 2^64": (("privacy", "rounds_left"), 2**64),
    "a scope with markup": (("privacy", "scope"), "<b>"),
    "another modality": (("modality",), "XR"),
}


@pytest.mark.parametrize("case", SPOILT)
def test_a_spoilt_report_is_refused_whole(case: str) -> None:
    keys, value = SPOILT[case]
    content = json.loads(json.dumps(REPORT))
    place = content
    for key in keys[:-1]:
        place = place[key]
    place[keys[-1]] = value
    with pytest.raises(ValidationError):
        RoundReport.model_validate(content)


def test_the_mean_is_the_servers_and_not_what_a_site_states() -> None:
    lie = {**REPORT["scores"], "mean": 1.0}
    assert ScoresMessage.model_validate(lie).mean == 0.5
    scores = Scores(
        {"a": Score(0.1, 2), "b": Score(0.2, 1), "c": Score(float("nan"), 0)}, Score(1, 1), Score(1, 1), 0.1
    )
    assert ScoresMessage.model_validate(scores.as_dict()).mean == scores.mean


def test_a_million_volumes_of_one_site_do_not_take_the_table() -> None:
    honest = [ScoreMessage(mean=0.5, volumes=2), ScoreMessage(mean=0.7, volumes=6)]
    assert volume_mean(honest).dice == pytest.approx(0.65)
    lied = volume_mean([*honest, ScoreMessage(mean=0.0, volumes=1_000_000)])
    assert lied.volumes == 2 + 6 + 60
    small = volume_mean([honest[0], ScoreMessage(mean=0.0, volumes=1_000_000)])
    assert small.dice == pytest.approx(0.5 / 11)


def test_scores_speak_of_the_tasks_labels() -> None:
    task = Task.model_validate(TINY_TASK)
    scores = ScoresMessage.model_validate(REPORT["scores"])
    assert scores.of(task) is scores
    with pytest.raises(ValueError, match="labels that the task does not have"):
        scores.model_copy(update={"dice": {"favourite": ScoreMessage(mean=1.0, volumes=1)}}).of(task)
    plain = Task.model_validate({**TINY_TASK, "lesion": None})
    with pytest.raises(ValueError, match="the task has no lesion"):
        scores.of(plain)


def test_what_is_said_of_another_scope_needs_nothing_of_differential_privacy() -> None:
    assert PrivacyMessage(scope="clipped", clipped=True).epsilon is None


def test_what_no_site_could_score_or_send_is_refused_when_the_task_is_read() -> None:
    names = [f"structure-{number}" for number in range(257)]
    wide = {**TINY_TASK, "lesion": None, "fedgs": None}
    task = Task.model_validate({**wide, "labels": names[:117]})  # TotalSegmentator
    dice = {label: Score(0.5, 1) for label in task.labels}
    scores = Scores(dice, Score(float("nan"), 0), Score(float("nan"), 0), 0.1)
    assert len(ScoresMessage.model_validate(scores.as_dict()).of(task).dice) == 117
    for changes in ({"labels": names}, {"labels": ["x" * 101]}, {"training": {"steps": 2**20 + 1}}):
        with pytest.raises(ValidationError):
            Task.model_validate({**wide, **changes})
    assert MOST_STEPS == MAX_WEIGHT
