from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from disk import small_files
from flareseg.errors import DataError
from flareseg.privacy.ledger import Digest, LedgerEntry, append, read_ledger


def write(path: Path, *contents: Any) -> list[LedgerEntry]:
    return [
        append(path, job="j", task="train", round_number=0, kind="WEIGHT_DIFF", recipient="server", content=c)
        for c in contents
    ]


def test_entries_are_read_back_in_order(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    written = write(path, {"w": np.array([3.0, 4.0], np.float32)}, {"steps": 3}, {})
    assert list(read_ledger(path)) == written
    assert [entry.number for entry in written] == [1, 2, 3]
    assert written[0].norm == 5
    assert written[1].norm is None
    assert written[0].size >= 8


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"a": np.zeros(2, np.float32)}, {"b": np.zeros(2, np.float32)}),
        ({"a": np.zeros(2, np.float32)}, {"a": np.zeros((1, 2), np.float32)}),
        ({"a": np.zeros(2, np.float32)}, {"a": np.zeros(2, np.int32)}),
        ({"a": np.zeros(2, np.float32)}, {"a": np.array([0, 1e-30], np.float32)}),
        ({"a": 1}, {"a": "1"}),
        ({"a": [1, 2]}, {"a": [12]}),
        ({"a": {"b": 1}}, {"a": 1, "b": {}}),
    ],
)
def test_different_content_has_another_hash(one: Any, other: Any) -> None:
    assert Digest(one).sha256 != Digest(other).sha256
    assert Digest(one).sha256 == Digest(dict(reversed(list(one.items())))).sha256


def _change(lines: list[bytes]) -> list[bytes]:
    entry = json.loads(lines[1])
    return [lines[0], json.dumps({**entry, "kind": "METRICS"}).encode(), *lines[2:]]


@pytest.mark.parametrize(
    ("spoil", "line"),
    [
        (_change, 3),
        (lambda lines: [lines[0], *lines[2:]], 2),
        (lambda lines: lines[1:], 1),
        (lambda lines: [lines[1], lines[0], *lines[2:]], 1),
        (lambda lines: [*lines[:2], b"{}", lines[2]], 3),
    ],
    ids=["changed", "removed", "first removed", "swapped", "inserted"],
)
def test_a_changed_ledger_is_told_with_its_line(
    tmp_path: Path, spoil: Callable[[list[bytes]], list[bytes]], line: int
) -> None:
    path = tmp_path / "ledger.jsonl"
    write(path, *({"n": number} for number in range(4)))
    path.write_bytes(b"\n".join(spoil(path.read_bytes().splitlines())) + b"\n")
    with pytest.raises(DataError, match=f"line {line} "):
        list(read_ledger(path))


def test_nothing_is_appended_to_a_damaged_ledger(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    path.write_text("not a ledger\n")
    with pytest.raises(DataError, match="not a ledger entry"):
        write(path, {})
    assert path.read_text() == "not a ledger\n"


def test_a_missing_ledger_is_told(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be read"):
        list(read_ledger(tmp_path / "ledger.jsonl"))


def test_a_long_last_line_is_found(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    append(path, job="j" * 20_000, task="t", round_number=None, kind="k", recipient="server", content={})
    (second,) = write(path, {})
    assert second.previous == hashlib.sha256(path.read_bytes().splitlines()[0]).hexdigest()


def torn(content: bytes) -> list[bytes]:
    """A file whose last line was begun and not finished, cut at several places."""
    start = content[:-1].rindex(b"\n") + 1
    return [content[:end] for end in (start + 1, start + 10, len(content) - 2, len(content) - 1)]


def test_a_line_that_was_never_finished_is_taken_back(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """It was not believed: what it was to tell of never left. Before, the site had no ledger any more."""
    path = tmp_path / "ledger.jsonl"
    first, _ = write(path, {"n": 1}, {"n": 2})
    for content in torn(path.read_bytes()):
        path.write_bytes(content)
        assert list(read_ledger(path)) == [first]
        (again,) = write(path, {"n": 2})
        assert list(read_ledger(path)) == [first, again]
        assert "never finished are taken back" in caplog.text
        caplog.clear()
    path.write_bytes(b'{"number": 1, "prev')
    assert list(read_ledger(path)) == []
    assert write(path, {})[0].number == 1


def test_a_full_disk_leaves_the_ledger_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    write(path, {"n": 1})
    before = path.read_bytes()
    with small_files(len(before) + 20), pytest.raises(OSError, match="File too large"):
        write(path, {"n": 2})
    assert path.read_bytes() == before
    assert [entry.number for entry in write(path, {"n": 2}, {"n": 3})] == [2, 3]


def test_only_its_owner_reads_the_ledger(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        write(tmp_path / "ledger.jsonl", {})
    finally:
        os.umask(before)
    assert (tmp_path / "ledger.jsonl").stat().st_mode & 0o077 == 0


def _many(path: Path) -> None:
    for number in range(25):
        write(path, {"n": number})


def test_several_processes_write_one_chain(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    processes = [get_context("fork").Process(target=_many, args=(path,)) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
        assert process.exitcode == 0
    assert [entry.number for entry in read_ledger(path)] == list(range(1, 76))
