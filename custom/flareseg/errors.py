"""Errors a user can act on: what is wrong, where, and what to do about it."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from reprlib import Repr

_LINE_LENGTH = 200
_MOST_BITS = 128


class _Short(Repr):
    """A representation that stays short whatever it is of: YAML of 400 bytes can stand for gigabytes of lists."""

    def __init__(self) -> None:
        super().__init__()
        self.maxlevel = 2
        self.maxdict = self.maxlist = self.maxtuple = self.maxset = self.maxfrozenset = 4
        self.maxstring = self.maxlong = self.maxother = 80

    def repr_int(self, x: int, level: int) -> str:
        """Python writes no whole number of more than 4300 digits."""
        return repr(x) if x.bit_length() <= _MOST_BITS else f"a whole number of {x.bit_length()} bits"


_SHORT = _Short()


def printable(text: str) -> str:
    r"""Text of unknown origin, fit for one line of a log or a terminal.

    Line ends, escape sequences, direction marks and lone surrogates (bytes of a file name that are not UTF-8) are
    written as Python writes them.

    >>> printable("a\nb")
    'a\\nb'
    """
    if text.isprintable():
        return text
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode() for character in text
    )


def plain(text: str) -> str:
    """As :func:`printable`, and at most 200 characters: for what another participant sent."""
    line = printable(text[: _LINE_LENGTH + 1])
    return line if len(line) <= _LINE_LENGTH else line[: _LINE_LENGTH - 1] + "…"


def shown(value: object) -> str:
    """A value as an error shows it: its representation, short and printable."""
    return plain(_SHORT.repr(value))


class ExitCode(int, Enum):
    """Exit codes of the ``flareseg`` command."""

    OK = 0
    FAILED = 1
    BAD_INPUT = 2
    SUBSET = 3


class ErrorCode(str, Enum):
    """What a site tells the lead about a failure: the code alone, never a file name."""

    BAD_SETTINGS = "BAD_SETTINGS"
    VERSION_MISMATCH = "VERSION_MISMATCH"
    TASK_MISMATCH = "TASK_MISMATCH"
    SCOPE_MISMATCH = "SCOPE_MISMATCH"
    BUDGET = "BUDGET"
    RUN_IN_USE = "RUN_IN_USE"
    NO_DATA = "NO_DATA"
    UNREADABLE_IMAGE = "UNREADABLE_IMAGE"
    SHAPE_MISMATCH = "SHAPE_MISMATCH"
    BAD_LABEL = "BAD_LABEL"
    CACHE_UNUSABLE = "CACHE_UNUSABLE"
    SPLIT_LEAK = "SPLIT_LEAK"
    OUT_OF_MEMORY = "OUT_OF_MEMORY"
    DIVERGED = "DIVERGED"
    BAD_MODEL = "BAD_MODEL"
    NO_LEDGER = "NO_LEDGER"
    INTERNAL = "INTERNAL"


class FlaresegError(Exception):
    """An error with a remedy.

    Args:
        message: what is wrong, naming the file or setting, what was expected and what was found; kept printable, as
            it may name a file or hold a value of somebody else's.
        remedy: what the reader should do.
        code: what others may learn.
        case: name of the case concerned; stays at the site.
    """

    def __init__(self, message: str, remedy: str, *, code: ErrorCode, case: str | None = None) -> None:
        super().__init__(message)
        self.message = printable(message)
        self.remedy = printable(remedy)
        self.code = code
        self.case = case

    def __str__(self) -> str:
        return f"{self.message} {self.remedy}".rstrip()


class SettingsError(FlaresegError):
    """A settings file (task.yaml, site.yaml, project.yml, meta.json) that cannot be used."""

    def __init__(self, message: str, remedy: str) -> None:
        super().__init__(message, remedy, code=ErrorCode.BAD_SETTINGS)


class DataError(FlaresegError):
    """Images or labels that cannot be trained on."""


def unreadable(path: Path, kind: str, case: str, error: Exception) -> DataError:
    """The error of an image or label that its reader could not read as what it should be."""
    reason = " ".join(str(error).split()) or type(error).__name__
    return DataError(
        f"{path}: cannot be read as {kind} ({reason}).",
        "The file is damaged or cut short: copy or export it again.",
        code=ErrorCode.UNREADABLE_IMAGE,
        case=case,
    )
