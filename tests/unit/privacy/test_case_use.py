from __future__ import annotations

from pathlib import Path

import pytest

from flareseg.data.datalist import Case
from flareseg.errors import DataError
from flareseg.privacy.case_use import UsedCase, read_uses, record_use


def used(name: str, patient: str | None = None) -> UsedCase:
    return UsedCase.of(Case(name, Path(name), Path(name), patient), "key")


def test_who_was_used_is_found_by_name_and_by_patient(tmp_path: Path) -> None:
    path = tmp_path / "cases.jsonl"
    assert list(read_uses(path)) == []
    record_use(path, "job-1", "liver", {"training": [used("a", "p1"), used("b", "p2")], "testing": [used("c", "p1")]})
    record_use(path, "job-2", "liver", {"training": [used("b", "p2"), used("d\udcfc")]})
    first, second = read_uses(path)
    assert {split: [case.name for case in several] for split, several in first.among((), ("p1",)).items()} == {
        "training": ["a"],
        "testing": ["c"],
    }
    assert list(second.among(("a",), ("p1",))) == []
    assert second.among((r"d\udcfc",), ())["training"][0].key == "key"
    assert path.stat().st_mode & 0o077 == 0


def test_a_changed_line_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "cases.jsonl"
    for job in ("job-1", "job-2"):
        record_use(path, job, "liver", {"training": [used("a")]})
    path.write_bytes(path.read_bytes().replace(b'"job-1"', b'"job-3"'))
    with pytest.raises(DataError, match="line 2 does not follow"):
        list(read_uses(path))


def test_what_cannot_be_written_down_is_not_used(tmp_path: Path) -> None:
    (tmp_path / "cases.jsonl").mkdir()
    with pytest.raises(DataError, match="so no case is used"):
        record_use(tmp_path / "cases.jsonl", "job", "liver", {})
