"""The table of kinds: closed, complete, and the same in the manual."""

from __future__ import annotations

import re
from pathlib import Path

from flareseg.data.faults import KINDS, SUBJECTS, FileFault, LabelFault, Level, SplitFault
from flareseg.data.faults.findings import Finding, in_order
from flareseg.errors import ErrorCode

MANUAL = Path(__file__).parents[4] / "docs" / "data.md"


def test_every_kind_has_a_name_of_its_own_and_says_what_to_do() -> None:
    assert len({kind.id for kind in KINDS}) == len(KINDS) == sum(len(list(faults)) for faults in SUBJECTS.values())
    for kind in KINDS:
        assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", kind.id)
        assert kind.meaning.endswith((".", "?)."))
        assert kind.remedy.endswith(".")


def test_the_manual_has_every_kind_as_the_code_has_it() -> None:
    """To renew the rows: run this file with Python, which prints them."""
    text = MANUAL.read_text(encoding="utf-8")
    rows = re.findall(r"^\| `([a-z0-9-]+)` \| (error|warning) \| (.*) \| (.*) \|$", text, re.MULTILINE)
    assert rows == [(kind.id, kind.level.value, kind.meaning, kind.remedy) for kind in KINDS]


def test_errors_come_first_then_the_order_of_the_table() -> None:
    warning = Finding(SplitFault.DUPLICATE, "w", "a")
    late, early = Finding(LabelFault.SWAPPED, "b", "b"), Finding(FileFault.FILE_EMPTY, "c", "c")
    assert in_order([warning, late, early]) == [early, late, warning]


def test_an_error_of_the_check_is_an_error_of_training() -> None:
    error = Finding(FileFault.FILE_EMPTY, "scan.nii: holds no bytes.", "scan").error()
    assert (error.code, error.case) == (ErrorCode.UNREADABLE_IMAGE, "scan")
    assert str(error) == "scan.nii: holds no bytes. Copy or export it again."
    assert FileFault.FILE_EMPTY.level is Level.ERROR


if __name__ == "__main__":
    for kind in KINDS:
        print(f"| `{kind.id}` | {kind.level.value} | {kind.meaning} | {kind.remedy} |")
