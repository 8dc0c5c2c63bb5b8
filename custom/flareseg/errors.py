"""Errors a user can act on: what is wrong, where, and what to do about it."""

from __future__ import annotations

from enum import Enum
from pathlib import Path


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
        message: what is wrong, naming the file or setting, what was expected and what was found.
        remedy: what the reader should do.
        code: what may be told to others.
        case: name of the case concerned; stays at the site.
    """

    def __init__(self, message: str, remedy: str, *, code: ErrorCode, case: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy
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
