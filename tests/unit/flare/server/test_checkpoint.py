"""A checkpoint is written whole or not at all, holds all that a run needs, and continues only what it belongs to."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import torch

from disk import small_files
from flareseg.errors import FlaresegError
from flareseg.flare.server import checkpoint as module
from flareseg.flare.server.checkpoint import KEEP, Checkpoint, CheckpointKeeper, job_uuid, resumed_job
from flareseg.record.run import ModelNote, RoundRecord, RunRecord

JOB = "11111111-1111-4111-8111-111111111111"


def record(**changes: Any) -> RunRecord:
    content: dict[str, Any] = {
        "job_id": JOB,
        "job_name": "fedgs",
        "submitter": "lead@site",
        "versions": {"flareseg": "1"},
        "task": {},
        "task_digest": "digest",
        "min_clients": 2,
        "started": 1.0,
        "rounds": [RoundRecord(round=0, expected=["a", "b"], accepted=["a"], late=["b"], seconds=1.5)],
        "models": {"last": ModelNote(rounds_done=1), "best": ModelNote(rounds_done=0, score=0.1 + 0.2)},
    }
    return RunRecord.model_validate(content | changes)


def checkpoint(size: int = 5, value: float = 0.1) -> Checkpoint:
    models = {"last": {"w": torch.full((size,), value)}, "best": {"w": torch.arange(size), "b": torch.tensor(True)}}
    state = {"velocity/w": torch.full((size,), 1e-45), "norms": torch.tensor([0.1 + 0.2], dtype=torch.float64)}
    return Checkpoint(record(), models, state)


def test_what_was_written_is_read_to_the_last_bit(tmp_path: Path) -> None:
    path = tmp_path / "checkpoints" / f"{JOB}.pt"
    wrote = checkpoint()
    wrote.write(path)
    read = Checkpoint.read(path)
    assert read.record == wrote.record
    assert read.rounds_done == 1
    assert read.models.keys() == wrote.models.keys()
    for name, model in wrote.models.items():
        assert all(torch.equal(read.models[name][key], value) for key, value in model.items())
    assert read.aggregator.keys() == wrote.aggregator.keys()
    assert all(torch.equal(read.aggregator[key], value) for key, value in wrote.aggregator.items())
    assert path.parent.stat().st_mode & 0o077 == 0


def test_on_a_full_disk_the_last_good_file_remains_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "checkpoints" / f"{JOB}.pt"
    checkpoint(value=0.5).write(path)
    good = path.read_bytes()
    with small_files(200_000), pytest.raises(OSError, match="File too large"):
        checkpoint(size=100_000).write(path)
    assert path.read_bytes() == good
    assert list(path.parent.iterdir()) == [path]


def test_what_a_killed_server_left_is_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "checkpoints" / f"{JOB}.pt"
    path.parent.mkdir()
    (path.parent / f".{path.name}.part").write_bytes(b"half")
    checkpoint().write(path)
    assert list(path.parent.iterdir()) == [path]


def test_the_oldest_are_let_go(tmp_path: Path) -> None:
    folder = tmp_path / "checkpoints"
    for age in range(KEEP + 3):
        path = folder / f"{age}.pt"
        checkpoint().write(path)
        os.utime(path, (age, age))
    checkpoint().write(folder / "now.pt")
    assert {path.stem for path in folder.iterdir()} == {"now", *(str(age) for age in range(4, KEEP + 3))}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"submitter": "other@site"}, "was submitted by lead@site, not by other@site"),
        ({"task_digest": "other"}, "another task.yaml"),
        ({"min_clients": 1}, "another task.yaml or min_clients"),
        ({"versions": {"flareseg": "2"}}, "ran with flareseg 1, here is 2"),
    ],
)
def test_continues_only_its_own_run(changes: dict[str, Any], words: str) -> None:
    checkpoint().check_continues(record(rounds=[], models={}))
    with pytest.raises(FlaresegError, match=words):
        checkpoint().check_continues(record(**changes))


@pytest.mark.parametrize(
    "content", [b"", b"\x80\x04", {"format": 2, "models": {}}, {"format": 2, "record": "{}", "models": {}}], ids=str
)
def test_a_damaged_file_is_refused(tmp_path: Path, content: Any) -> None:
    path = tmp_path / f"{JOB}.pt"
    path.write_bytes(content) if isinstance(content, bytes) else torch.save(content, path)
    with pytest.raises(FlaresegError, match=JOB):
        Checkpoint.read(path)


def test_a_velocity_of_the_old_sign_is_refused(tmp_path: Path) -> None:
    """Format 1 had no number and held v with w - v: read as it is, momentum would push the model back."""
    path = tmp_path / "checkpoints" / f"{JOB}.pt"
    checkpoint().write(path)
    content = torch.load(path, weights_only=True)
    del content["format"]
    torch.save(content, path)
    with pytest.raises(FlaresegError, match="has the format 1 of another flareseg; this one reads format 2") as error:
        Checkpoint.read(path)
    assert "Resume with the flareseg that wrote it" in str(error.value)


def test_a_missing_file_says_why(tmp_path: Path) -> None:
    with pytest.raises(FlaresegError, match="until it ends well: submit the job anew"):
        Checkpoint.read(tmp_path / f"{JOB}.pt")


@pytest.mark.parametrize("name", ["../other", f"{JOB}/..", JOB.upper().replace("1", "A"), "", 7, JOB.replace("-", "")])
def test_a_job_is_named_by_its_id_alone(name: Any) -> None:
    assert job_uuid(JOB) == JOB
    with pytest.raises(FlaresegError, match="is no job id"):
        job_uuid(name)
    with pytest.raises(FlaresegError, match="is no job id"):
        resumed_job({"resumes": name})


def test_most_jobs_resume_none() -> None:
    assert resumed_job({"name": "x"}) is None
    assert resumed_job({"resumes": JOB}) == JOB


def test_a_run_is_resumed_by_one_job_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_PATIENCE_SECONDS", 0.1)
    first, second = CheckpointKeeper(), CheckpointKeeper()
    for keeper in (first, second):
        keeper._folder = tmp_path
    first._hold(JOB)
    with pytest.raises(FlaresegError, match=f"Another job that resumes the run {JOB} is at work"):
        second._hold(JOB)
    del first
    second._hold(JOB)
