"""A job goes on from an unfinished one to the same bits; who may not, or names no such job, is told so."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

import pytest

from faults import server_faults
from faults.finding import Finding
from faults.ward import Ward, settings
from federation import REPOSITORY
from flareseg.errors import FlaresegError
from flareseg.flare.server.checkpoint import CHECKPOINTS
from flareseg.flare.session import download_result, resume_job, wait_for_job
from flareseg.poc.run import stage
from flareseg.record.run import RunRecord
from flareseg.report import load_record
from planted import goes_off, plant_model

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    "fault",
    [
        server_faults.job_process_killed,
        server_faults.killed_while_scoring,
        server_faults.server_killed,
        server_faults.disk_full,
        server_faults.two_jobs,
    ],
    ids=lambda fault: fault.__name__,
)
def test_the_run_ends_as_if_nothing_had_happened(ward: Ward, fault: Callable[[Ward], list[Finding]]) -> None:
    """Models, momentum, scores, counters and participation; local batch norm at the sites."""
    for finding in fault(ward):
        in_first = finding.fault.endswith("in the first round")
        assert (finding.lost, finding.model) == (0, server_faults.NOTHING if in_first else server_faults.UNBROKEN)


def test_what_cannot_be_resumed(ward: Ward) -> None:
    finished = load_record(ward.unbroken).job_id
    with ward.session() as session:
        for job, words in (
            (finished, "has finished: nothing is left to resume"),
            (str(uuid4()), "knows no job"),
            ("../checkpoints", "is no job id"),
        ):
            with pytest.raises(FlaresegError, match=words):
                resume_job(session, job)


def resumed_by_hand(ward: Ward, named: str) -> RunRecord:
    """The record of a job whose meta.json was written by hand, to go on from what is named."""
    job = stage(ward.workspace, REPOSITORY / "jobs" / "fedgin-fedgs", settings(rounds=1))
    meta = json.loads((job / "meta.json").read_text())
    (job / "meta.json").write_text(json.dumps({**meta, "resumes": named}))
    with ward.session() as session:
        return load_record(ward.result(str(session.submit_job(str(job)))))


@pytest.mark.parametrize(
    "named", ["../../startup/server.key", str(uuid4())], ids=["a path", "a job without checkpoint"]
)
def test_a_job_made_by_hand_is_checked_at_the_server(ward: Ward, named: str) -> None:
    record = resumed_by_hand(ward, named)
    assert record.status == "failed"
    assert not record.rounds
    assert ("is no job id" if "/" in named else "no such checkpoint") in record.reason


def test_a_crafted_checkpoint_is_not_unpickled(ward: Ward, tmp_path: Path) -> None:
    named, marker = str(uuid4()), tmp_path / "planted"
    checkpoint = ward.kit(ward.server) / CHECKPOINTS / f"{named}.pt"
    checkpoint.parent.mkdir(mode=0o700, exist_ok=True)
    plant_model(checkpoint, marker)
    try:
        assert goes_off(checkpoint, marker)
        record = resumed_by_hand(ward, named)
    finally:
        checkpoint.unlink()
    assert record.status == "failed"
    assert "is not a flareseg model" in record.reason
    assert not marker.exists()


def test_another_s_job_is_not_resumed(ward: Ward, tmp_path: Path) -> None:
    """A project admin may submit and download, but the run is not his."""
    job = ward.submit(settings(rounds=30))
    ward.wait_for_round(job, 1)
    with ward.session() as session, pytest.raises(FlaresegError, match="is not over"):
        resume_job(session, job)
    ward.abort(job)
    ward.wait_for_end(job)
    with ward.session("member") as session, pytest.raises(FlaresegError, match="You may not resume"):
        resume_job(session, job)
    with ward.session("project_admin") as session:
        new = resume_job(session, job)
        status = wait_for_job(session, new, lambda status, progress: None)
        record = load_record(download_result(session, new, status, tmp_path))
    assert record.status == "failed"
    assert f"was submitted by {ward.user('lead')}, not by {ward.user('project_admin')}" in record.reason
