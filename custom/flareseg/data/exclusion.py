"""Cases that a site does not use, by name."""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase
from pathlib import Path

from flareseg.data.case import names_of


class Exclusion:
    """Names to exclude, and the cases that were.

    A name fits a case by the case's own name or by the name of one of its files, with or without its ending; ``*`` and
    ``?`` stand for what they do in patterns.

    Attributes:
        cases: names of the cases that were excluded.

    Example:
        >>> excluded = Exclusion(["volume-53", "s9*"])
        >>> excluded.takes("53", Path("volume-53.nii"), Path("segmentation-53.nii")), excluded.unused()
        (True, ['s9*'])
    """

    def __init__(self, names: Iterable[str] = ()) -> None:
        self.cases: set[str] = set()
        self._names: dict[str, bool] = {}
        self.add(names)

    def add(self, names: object) -> None:
        """Exclude more.

        Raises:
            TypeError: they are no list of names.
        """
        if isinstance(names, str) or not isinstance(names, Iterable):
            raise TypeError("exclude should be a list of names")
        for name in names:
            if not isinstance(name, str):
                raise TypeError(f"exclude should be a list of names, found {type(name).__name__}")
            self._names.setdefault(name, False)

    def takes(self, case: str, *files: Path) -> bool:
        """Whether a case is excluded; counted if so."""
        names = names_of(case, *files)
        fits = [pattern for pattern in self._names if any(fnmatchcase(name, pattern) for name in names)]
        self._names |= dict.fromkeys(fits, True)
        if fits:
            self.cases.add(case)
        return bool(fits)

    def unused(self) -> list[str]:
        """The names that fit no case."""
        return [name for name, used in self._names.items() if not used]
