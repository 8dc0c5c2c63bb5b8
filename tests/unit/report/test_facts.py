from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from flareseg.errors import SettingsError
from flareseg.record.run import RoundRecord, RunRecord
from flareseg.report.facts import load_record, report_facts
from flareseg.report.participation import rounds_in_words


def test_means_weight_sites_by_volumes_and_organs_equally(complete: RunRecord) -> None:
    facts = report_facts(complete)
    liver, spleen = (0.9 * 1 + 0.7 * 3) / 4, (0.8 * 2 + 0.6 * 2) / 4
    assert facts.dice["CT"] == pytest.approx((liver + spleen) / 2)
    assert facts.lesion_dice["CT"] == pytest.approx((0.2 + 0.4 * 3) / 4)
    assert facts.small_dice["CT"] == pytest.approx((0.1 + 0.3 * 3) / 4)
    assert facts.large_dice["CT"] == pytest.approx(0.6)
    assert facts.test_by_modality[0].labels["liver"].volumes == 4


def test_what_was_not_scored_is_none_and_left_out(complete: RunRecord) -> None:
    facts = report_facts(complete)
    assert facts.dice["MR"] == 0.5
    assert facts.lesion_dice["MR"] is None
    assert facts.small_dice["MR"] is None
    assert facts.worst_site is not None
    assert (facts.worst_site.site, facts.worst_site.dice) == ("mr-a", 0.5)


def test_a_task_without_lesion_has_organs_only(complete: RunRecord) -> None:
    complete.task = {**complete.task, "lesion": None, "fedgs": None}
    facts = report_facts(complete)
    assert facts.organs == ["liver", "spleen", "lesion"]
    assert facts.lesion_dice == {"CT": None, "MR": None}
    assert facts.settings["FedGS"].startswith("Off")


def test_complete_run(complete: RunRecord) -> None:
    facts = report_facts(complete)
    assert (facts.status, facts.reason, facts.shortfalls) == ("complete", "", [])
    assert facts.round_overhead_seconds == 0.5
    assert facts.rounds[0].executor_seconds == 4.0
    assert (facts.seed, facts.seconds, facts.bytes_sent, facts.bytes_received) == (7, 60.0, 9000, 9000)
    assert facts.started == "2025-11-21T09:06:40+00:00"
    assert [model.name for model in facts.models if model.winner] == ["last"]


def test_curves_end_with_the_last_aggregate(complete: RunRecord) -> None:
    curve = report_facts(complete).curves["ct-a"]
    assert [(point.rounds_done, point.dice["liver"]) for point in curve.scores] == [
        (0, 0.0),
        (1, 0.1),
        (2, 0.2),
        (3, 0.6),
    ]
    assert [point.mean_scale for point in curve.training] == [1.2, 1.2, 1.2]


def test_subset_names_sites_and_rounds(subset: RunRecord) -> None:
    facts = report_facts(subset)
    assert facts.status == "subset"
    assert facts.reason == (
        "ct-b was refused in round 1, was absent in round 2, was not connected in round 3 and was not scored on its "
        "test set. mr-a failed in round 2."
    )
    assert facts.rounds[1].states == {"ct-a": "accepted", "ct-b": "absent", "mr-a": "failed"}
    assert facts.rounds[1].failed["mr-a"].startswith("UNREADABLE_IMAGE (case 0a1b2c3d4e)")
    assert facts.dice["CT"] == pytest.approx((0.9 + 0.8) / 2)


def test_a_record_that_still_says_running_has_failed(without_scores: Callable[[str], RunRecord]) -> None:
    record = without_scores("running")
    record.rounds[2] = RoundRecord(round=2, expected=["ct-a", "ct-b", "mr-a"], accepted=["ct-a"])
    facts = report_facts(record)
    assert facts.status == "failed"
    assert "never finished" in facts.reason
    assert "2 of 3 rounds" in facts.reason
    assert facts.rounds[2].states["ct-b"] == "open"
    assert facts.dice == {"CT": None, "MR": None}
    assert facts.worst_site is None


def test_a_run_that_failed_keeps_its_reason(without_scores: Callable[[str], RunRecord]) -> None:
    record = without_scores("failed")
    record.reason = "fewer than 2 accepted"
    record.rounds, record.modalities = [], {}
    facts = report_facts(record)
    assert (facts.status, facts.reason, facts.dice) == ("failed", "fewer than 2 accepted", {})
    assert facts.round_overhead_seconds is None


@pytest.mark.parametrize(("rounds", "words"), [([3], "4"), ([0, 1, 2], "1-3"), ([9, 3, 5, 6], "4, 6-7, 10")])
def test_rounds_in_words(rounds: list[int], words: str) -> None:
    assert rounds_in_words(rounds) == words


@pytest.mark.parametrize("given", ["result", "result/job/workspace/flareseg/record.json"])
def test_record_is_found_below_the_result(complete: RunRecord, tmp_path: Path, given: str) -> None:
    folder = tmp_path / "result/job/workspace/flareseg"
    folder.mkdir(parents=True)
    complete.write(folder / "record.json")
    assert load_record(tmp_path / given) == complete


BROKEN = [
    ("{", "expected JSON", "Download the job's result again"),
    ("[]", "expected the record of a flareseg run", "flareseg version that ran the job"),
    ('{"job_id": 3}', "job_id: input should be a valid string", "flareseg version that ran the job"),
]


@pytest.mark.parametrize(("text", "problem", "remedy"), BROKEN)
def test_a_broken_record_is_named_with_a_remedy(tmp_path: Path, text: str, problem: str, remedy: str) -> None:
    path = tmp_path / "record.json"
    path.write_text(text)
    with pytest.raises(SettingsError) as caught:
        load_record(path)
    assert str(path) in caught.value.message
    assert problem in caught.value.message
    assert remedy in caught.value.remedy


def test_a_record_of_an_unknown_task_is_named(complete: RunRecord, tmp_path: Path) -> None:
    complete.task = {**complete.task, "colour": "blue"}
    complete.write(tmp_path / "record.json")
    with pytest.raises(SettingsError, match=r"record\.json: expected the settings of a task, found colour"):
        load_record(tmp_path / "record.json")


def test_a_missing_record_is_named_with_a_remedy(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"expected flareseg/record\.json somewhere below, found none\. Give"):
        load_record(tmp_path)
    with pytest.raises(SettingsError, match="no such folder"):
        load_record(tmp_path / "nowhere")


def test_two_records_are_not_chosen_from(complete: RunRecord, tmp_path: Path) -> None:
    for job in ("a", "b"):
        (tmp_path / job / "flareseg").mkdir(parents=True)
        complete.write(tmp_path / job / "flareseg/record.json")
    with pytest.raises(SettingsError, match="found 2"):
        load_record(tmp_path)


def test_json_is_strict(complete: RunRecord) -> None:
    complete.models["best"].score = float("nan")

    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    content = json.loads(report_facts(complete).to_json(), parse_constant=refuse)
    assert content["status"] == "complete"
    assert content["models"][0]["score"] is None
