"""A registered site that sends what it should not: each update is refused, and the others finish the job.

One site of a real federation runs ``tests/hostile/hostile.py`` in its job's process and does something else in every
round; in the last round it is honest again.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from federation import tiny_changes
from flareseg.record.run import RunRecord
from secure_federation import SecureFederation

pytestmark = pytest.mark.slow

HOSTILE = "hospital-c"
REFUSED = {
    "nan": "should be finite, got NaN",
    "shape": "should have shape",
    "extra": "unknown: extra",
    "missing": "variables should be those of the template, got missing",
    "dtype": "should be floating-point, got int64",
    "objects": "expected NumPy arrays",
    "thousandfold": "its norm should be at most",
    "steps 1e12": "expected 1 to 3 steps, found 1000000000000",
    "steps -1": "expected 1 to 3 steps, found -1",
    "steps true": "expected 1 to 3 steps, found True",
    "meta": "expected plain values beside the update",
    "variance": "should stay at or above 0",
}
FAILED = {"another's name": "WRONG_IDENTITY", "fatal code": "UNSAFE_JOB"}
REPORTS = {
    "report": "unexpected patient",
    "seconds as text": "unexpected seconds",
    "loss of 1e300": "unexpected loss",
    "epsilon alone": "unexpected privacy",
}
FLIPPED = ("flipped",) * 3
ACCEPTED = (*REPORTS, "server's events", "server's commands", *FLIPPED, "honest")
ATTACKS = (*REFUSED, *FAILED, *ACCEPTED)


@pytest.fixture(scope="module")
def run(secure: SecureFederation) -> Iterator[tuple[RunRecord, Path]]:
    """One job with an attack in each round."""
    with secure.own_component(HOSTILE, "hostile.Hostile") as local:
        attacks = local / "attacks.json"
        attacks.write_text(json.dumps(ATTACKS))
        try:
            tiny = [text for text in tiny_changes(rounds=len(ATTACKS), validate_every=100) if "network" not in text]
            yield secure.run([*tiny, "network={name: unet, channels: [4, 8], norm: batch}"])
        finally:
            attacks.unlink()


def test_the_others_finish_the_job(run: tuple[RunRecord, Path]) -> None:
    record, _ = run
    assert record.status in ("subset", "unimproved")
    assert len(record.rounds) == len(ATTACKS)
    assert all({"hospital-a", "hospital-b"} <= set(item.accepted) for item in record.rounds)
    assert HOSTILE in record.rounds[-1].accepted


@pytest.mark.parametrize("attack", REFUSED)
def test_a_bad_update_is_refused_with_its_reason(run: tuple[RunRecord, Path], attack: str) -> None:
    record, folder = run
    item = record.rounds[ATTACKS.index(attack)]
    assert REFUSED[attack] in item.refused[HOSTILE]
    assert f"contribution of site {HOSTILE} refused: {item.refused[HOSTILE]}" in _log(folder)


@pytest.mark.parametrize("attack", FAILED)
def test_a_message_that_claims_more_is_its_senders_failure(run: tuple[RunRecord, Path], attack: str) -> None:
    record, _ = run
    item = record.rounds[ATTACKS.index(attack)]
    assert item.failed[HOSTILE].code == FAILED[attack]
    assert item.accepted == ["hospital-a", "hospital-b"]


def test_an_update_in_another_s_name_is_told(run: tuple[RunRecord, Path]) -> None:
    assert f"result of site {HOSTILE} refused: it was sent in the name of hospital-a" in _log(run[1])


@pytest.mark.parametrize("attack", REPORTS)
def test_a_report_that_is_not_as_it_should_be_is_left_out_and_the_update_counts(
    run: tuple[RunRecord, Path], attack: str
) -> None:
    record, folder = run
    item = record.rounds[ATTACKS.index(attack)]
    assert HOSTILE in item.accepted
    assert HOSTILE not in item.sites
    assert f"site {HOSTILE}: report ignored, {REPORTS[attack]}" in _log(folder)
    assert "Doe^Jane" not in record.model_dump_json()


def test_updates_that_point_against_the_others_are_named(run: tuple[RunRecord, Path]) -> None:
    record, folder = run
    first = ATTACKS.index("flipped")
    assert all(item.updates.cosines[HOSTILE] < -0.1 for item in record.rounds[first : first + len(FLIPPED)])
    warning = f"The updates of {HOSTILE} pointed against those of the others in 3 rounds in a row."
    assert warning in record.warnings
    assert warning in _log(folder)


def test_a_mean_that_does_not_follow_from_the_labels_is_not_believed(run: tuple[RunRecord, Path]) -> None:
    record, _ = run
    assert {scores[HOSTILE].mean for scores in record.evaluation.validation.values()} == {0.0}


@pytest.mark.parametrize("event", ["_fatal_system_error", "_start_run", "_round_started", "_abort_task", "_end_run"])
def test_the_server_s_own_events_are_refused(run: tuple[RunRecord, Path], event: str) -> None:
    assert f"message of {HOSTILE} refused: the event {event} is not a site's to fire" in _log(run[1])


def test_a_curve_that_holds_text_is_refused(run: tuple[RunRecord, Path]) -> None:
    text = f"message of {HOSTILE} refused: the event fed.analytix_log_stats should hold one named number"
    assert text in _log(run[1])


@pytest.mark.parametrize("topic", ["update_run_status", "handle_dead_job", "show_stats", "app_command"])
def test_the_administrator_s_commands_are_refused(run: tuple[RunRecord, Path], topic: str) -> None:
    reason = f"{topic} on server_command is not for it to ask of a job's process"
    assert f"message of {HOSTILE} refused: {reason}" in _log(run[1])


def _log(folder: Path) -> str:
    return (folder / "workspace" / "log.txt").read_text()
