"""What the check found: a fault, where, and in which words."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from flareseg.data.faults import KINDS, Kind, Level
from flareseg.errors import DataError


@dataclass(frozen=True)
class Finding:
    """One fault.

    Attributes:
        kind: which; gives level and remedy.
        message: the file, what was expected and what was found.
        case: name of the case, or None where the site as a whole is concerned. It stays at the site.
    """

    kind: Kind
    message: str
    case: str | None = None

    @property
    def level(self) -> Level:
        """Error or warning."""
        return self.kind.level

    @property
    def remedy(self) -> str:
        """What the operator does."""
        return self.kind.remedy

    def error(self) -> DataError:
        """The same as an exception."""
        return DataError(self.message, self.remedy, code=self.kind.code, case=self.case)

    def as_dict(self) -> dict[str, Any]:
        """For ``--json``."""
        return {
            "level": self.level.value,
            "kind": self.kind.id,
            "case": self.case,
            "message": self.message,
            "remedy": self.remedy,
        }


def in_order(findings: Iterable[Finding]) -> list[Finding]:
    """Errors first, then in the order of the table of kinds, then by case."""
    place = {kind: number for number, kind in enumerate(KINDS)}
    return sorted(
        findings, key=lambda item: (item.level is Level.WARNING, place[item.kind], item.case or "", item.message)
    )


def errors(findings: Iterable[Finding]) -> list[Finding]:
    """Only the errors."""
    return [item for item in findings if item.level is Level.ERROR]


def told(finding: Finding, root: str) -> str:
    """A finding for people who know the data root: case and message, neither said twice."""
    message = finding.message.replace(root, "")
    return message if finding.case is None or message.startswith(finding.case) else f"{finding.case}: {message}"
