"""Names of organs in one spelling, and which names mean that nothing is there."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from flareseg.errors import DataError, ErrorCode

_SAME = {
    "arota": "aorta",  # so spelled in AMOS
    "bladder": "urinary_bladder",
    "gall_bladder": "gallbladder",
    "postcava": "inferior_vena_cava",
}
_BACKGROUND = frozenset({"background", "back_ground", "bg", "bkg", "backgr", "unlabeled", "unlabelled", "clear_label"})


def canonical(name: str) -> str:
    """An organ's name in one spelling.

    >>> canonical("Right Kidney")
    'kidney_right'
    """
    words = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")
    side = re.fullmatch(r"(left|right)_(\w+)", words)
    words = f"{side[2]}_{side[1]}" if side else words
    return _SAME.get(words, words)


def is_background(name: str) -> bool:
    """Whether a label's name says that it is no organ."""
    return canonical(name) in _BACKGROUND


def organs_of(listed: Iterable[tuple[str, tuple[int, ...]]], path: Path) -> dict[str, tuple[int, ...]]:
    """The organs of a data set's list of labels: background, in whatever spelling, is left out.

    Args:
        listed: names with their values; a name that stands there twice has the values of both.
        path: the file that lists them, named in errors.

    Raises:
        DataError: a label that is not the background has the value 0, or a value that no label image holds.
    """
    organs: dict[str, tuple[int, ...]] = {}
    for name, values in listed:
        if is_background(name):
            continue
        if not values or min(values) < 1:
            raise DataError(
                f"{path}: the label {name} has the value {', '.join(map(str, values)) or '(none)'}; 0 is background.",
                'Give it a value from 1, or call it "background".',
                code=ErrorCode.NO_DATA,
            )
        organs[name] = tuple(sorted({*organs.get(name, ()), *values}))
    return organs
