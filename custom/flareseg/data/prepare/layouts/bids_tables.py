"""The tables of a BIDS data set: who takes part, and what the values of a label are called."""

from __future__ import annotations

import csv
from pathlib import Path

from flareseg.data.prepare.layouts.files import stem
from flareseg.data.prepare.layouts.source import unreadable_source
from flareseg.data.prepare.organ_names import organs_of


def participants(source: Path) -> set[str] | None:
    """The subjects that ``participants.tsv`` lists, as ``sub-01``; None where there is no such file.

    Raises:
        DataError: it cannot be read, or lists a subject twice.
    """
    path = source / "participants.tsv"
    if not path.is_file():
        return None
    names = [f"sub-{row['participant_id'].strip().removeprefix('sub-')}" for row in _rows(path, "participant_id")]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise unreadable_source(path, f"lists {twice[0]} twice.", "List each participant once.")
    return set(names)


def value_names(label: Path, source: Path) -> dict[str, tuple[int, ...]]:
    """The organs of a label file, by the table beside it or above it; empty if there is none.

    Raises:
        DataError: the table cannot be read, or gives no whole numbers.
    """
    path = _table_of(label, source)
    if path is None:
        return {}
    listed = []
    for row in _rows(path, "index", "name"):
        value = row["index"].strip()
        if not (value.isascii() and value.isdigit()):
            raise unreadable_source(path, f"expected a whole number as index, found {value!r}.", "Correct the table.")
        if int(value):
            listed.append((row["name"].strip(), (int(value),)))
    return organs_of(listed, path)


def _table_of(label: Path, source: Path) -> Path | None:
    """BIDS' inheritance: a table applies to the files beside and below it whose names hold all of its parts."""
    parts = set(stem(label).split("_"))
    for folder in label.parents:
        if not folder.is_relative_to(source):
            break
        tables = [path for path in folder.glob("*dseg.tsv") if set(path.stem.split("_")) <= parts | {"dseg"}]
        if tables:
            return max(tables, key=lambda path: (len(path.stem.split("_")), path.name))
    return None


def _rows(path: Path, *columns: str) -> list[dict[str, str]]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            rows = list(csv.DictReader(stream, delimiter="\t", restval=""))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise unreadable_source(
            path, f"cannot be read as a table ({error}).", "Save it as UTF-8, tabs between."
        ) from None
    missing = [column for column in columns if rows and column not in rows[0]]
    if missing:
        raise unreadable_source(path, f"has no column {', '.join(missing)}.", "Separate columns by tabs.")
    return rows
