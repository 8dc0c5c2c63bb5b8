"""A kind of fault: its level, what it means, and what to do."""

from __future__ import annotations

from enum import Enum

from flareseg.errors import ErrorCode


class Level(str, Enum):
    """How bad: an error makes training fail or come out wrong, a warning asks for a look."""

    ERROR = "error"
    WARNING = "warning"


class Kind(Enum):
    """A fault; its public name is its own in small letters with hyphens.

    Attributes:
        level: error or warning.
        code: what the lead may learn.
        meaning: why it matters, in a sentence.
        remedy: what the site's operator does.
    """

    def __init__(self, level: Level, code: ErrorCode, meaning: str, remedy: str) -> None:
        self.level = level
        self.code = code
        self.meaning = meaning
        self.remedy = remedy

    @property
    def id(self) -> str:
        """The public name, such as ``label-empty``."""
        return self.name.lower().replace("_", "-")
