"""A case: the files of one image and its label, and the names it goes by."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

SplitName = Literal["training", "validation", "testing"]
SPLITS: tuple[SplitName, ...] = ("training", "validation", "testing")
_ENDINGS = (".nii.gz", ".nii", ".png", ".jpg", ".jpeg")


@dataclass(frozen=True)
class Case:
    """One image with its label; ``name`` and ``patient`` identify it within the site and never leave it.

    Attributes:
        name: what the wildcards match, or the image as the datalist names it.
        image: the file, of several channels the first.
        label: the file.
        patient: whose it is, where that is known.
        channels: name and file of each channel, where the site names them.
    """

    name: str
    image: Path
    label: Path
    patient: str | None = None
    channels: tuple[tuple[str, Path], ...] = ()

    @property
    def images(self) -> tuple[Path, ...]:
        """The files of all channels."""
        return tuple(path for _, path in self.channels) or (self.image,)

    @property
    def files(self) -> tuple[Path, ...]:
        """The files of all channels, and the label's."""
        return (*self.images, self.label)

    @property
    def known_as(self) -> frozenset[str]:
        """Names by which a person may mean the case: its own, and of its files with and without their endings."""
        return names_of(self.name, *self.files)


def names_of(name: str, *files: Path) -> frozenset[str]:
    """The names of a case.

    >>> sorted(names_of("53", Path("raw/volume-53.nii")))
    ['53', 'raw/volume-53.nii', 'volume-53', 'volume-53.nii']
    """
    names = {name, name.rpartition("/")[2]}
    for path in files:
        names |= {path.as_posix(), path.name}
        names |= {path.name[: -len(end)] for end in _ENDINGS if path.name.lower().endswith(end)}
    return frozenset(names)
