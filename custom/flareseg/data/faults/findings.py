"""What the check found: a fault, where, and in which words."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from flareseg.data.faults import KINDS, Kind, Level, SplitFault
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

    @property
    def of_one_case(self) -> bool:
        """Whether the site's other cases can be used without this one."""
        return self.case is not None and not isinstance(self.kind, SplitFault)

    def error(self) -> CaseError:
        """The same as an exception."""
        return CaseError(self)

    def as_dict(self) -> dict[str, Any]:
        """For ``--json``."""
        return {
            "level": self.level.value,
            "kind": self.kind.id,
            "case": self.case,
            "message": self.message,
            "remedy": self.remedy,
        }


class CaseError(DataError):
    """A finding that ends what was asked for.

    Attributes:
        finding: the fault.
    """

    def __init__(self, finding: Finding) -> None:
        super().__init__(finding.message, finding.remedy, code=finding.kind.code, case=finding.case)
        self.finding = finding


def in_order(findings: Iterable[Finding]) -> list[Finding]:
    """Errors first, then in the order of the table of kinds, then by case."""
    place = {kind: number for number, kind in enumerate(KINDS)}
    return sorted(
        findings, key=lambda item: (item.level is Level.WARNING, place[item.kind], item.case or "", item.message)
    )


def errors(findings: Iterable[Finding]) -> list[Finding]:
    """Only the errors."""
    return [item for item in findings if item.level is Level.ERROR]


def stopping(findings: Iterable[Finding], *, leave_out: bool) -> list[Finding]:
    """The errors that keep a site from training.

    Args:
        findings: of a site.
        leave_out: whether the site trains without its bad cases, see ``data.on_bad_case`` in site.yaml.
    """
    return [item for item in errors(findings) if not (leave_out and item.of_one_case)]


def described(finding: Finding, root: str) -> str:
    """A finding for people who know the data root: case and message, neither said twice."""
    message = finding.message.replace(root, "")
    return message if finding.case is None or message.startswith(finding.case) else f"{finding.case}: {message}"
