"""How often a refused message is written down, and where."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from nvflare.fuel.sec.audit import AuditService

from flareseg.flare.safeguards.refused_messages import ACTION, MOST_LINES, WINDOW_SECONDS, RefusedMessages
from flareseg.record.refusals import MOST_BYTES, REFUSALS_FILE, note_refusal, read_refusals


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def audit(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "audit.log"
    AuditService.close()  # one that another test left
    AuditService.initialize(str(path))
    yield path
    AuditService.close()


def test_the_same_is_said_once_a_minute_and_then_how_often(audit: Path) -> None:
    clock = Clock()
    refused = RefusedMessages(clock)
    for _ in range(100):
        refused.note("hospital-c", "shell")
    refused.note("hospital-c", "abort")
    refused.note("hospital-b", "shell")
    assert audit.read_text().count(f"[A:{ACTION}]shell") == 2
    clock.now += WINDOW_SECONDS
    refused.note("hospital-c", "shell")
    lines = audit.read_text().splitlines()
    assert len(lines) == 4
    assert "[U:hospital-c]" in lines[0]
    assert lines[1].endswith("abort (99 more since the last line)")


def test_a_sender_has_so_many_lines_in_a_minute(audit: Path) -> None:
    clock = Clock()
    refused = RefusedMessages(clock)
    for number in range(10 * MOST_LINES):
        refused.note("hospital-c", f"reason {number}")
    refused.note("hospital-b", "x")
    assert len(audit.read_text().splitlines()) == MOST_LINES + 1
    clock.now += WINDOW_SECONDS
    refused.note("hospital-c", "again")
    assert audit.read_text().splitlines()[-1].endswith(f"again ({9 * MOST_LINES} more since the last line)")


def test_what_a_sender_says_is_one_printable_line(audit: Path) -> None:
    RefusedMessages().note("hospital-c\n[A:x]", "a\x1b[31m\nb" + "x" * 10_000)
    (line,) = audit.read_text().splitlines()
    assert len(line) < 700
    assert "\x1b" not in line


def test_it_is_noted_for_the_jobs_that_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("job-1").mkdir()
    refused = RefusedMessages()
    refused.jobs = lambda: ["job-1", "job-that-is-over"]
    refused.note("hospital-c", "shell")
    refused.note("hospital-c", "abort")
    assert read_refusals(tmp_path / "job-1" / "flareseg") == {"hospital-c": ["shell", "abort"]}
    assert not Path("job-that-is-over").exists()


def test_the_file_is_bounded_and_a_torn_line_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / REFUSALS_FILE
    note_refusal(tmp_path, "a", "b")
    with path.open("a") as stream:
        stream.write('["c", "tor\n')
    assert read_refusals(tmp_path) == {"a": ["b"]}
    path.write_text("[]\n" * (MOST_BYTES // 3 + 1))
    size = path.stat().st_size
    note_refusal(tmp_path, "a", "b")
    assert path.stat().st_size == size
    assert read_refusals(tmp_path) == {}
    assert read_refusals(tmp_path / "none") == {}
