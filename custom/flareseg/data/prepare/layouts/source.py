"""What a layout's reader finds in a source folder; nothing is converted or written here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from flareseg.config.task import Modality
from flareseg.errors import DataError, ErrorCode


@dataclass(frozen=True)
class OrganFiles:
    """A label of several files: one binary NIfTI mask for each organ, on the image's grid."""

    files: Mapping[str, Path]


@dataclass(frozen=True)
class SliceMasks:
    """A label of one PNG for each slice of a DICOM series.

    Attributes:
        folder: where the masks are.
        grey: which label value a grey value stands for.
        numbered_as: series of the same slices by one of which the masks may be numbered, beside the image itself.
    """

    folder: Path
    grey: Mapping[int, int]
    numbered_as: tuple[Path, ...] = ()


@dataclass(frozen=True)
class DicomLabel:
    """DICOM objects (SEG or RTSTRUCT) that mark organs in a series.

    Attributes:
        organs: for each organ the objects that mark it, and the numbers of its segments or regions there.
    """

    organs: Mapping[str, tuple[tuple[Path, int], ...]]


@dataclass(frozen=True)
class SourceCase:
    """One image with its label, as it lies in the source.

    Attributes:
        name: identifies the case within the source; fit for a file name.
        patient: cases of one patient are never in two splits.
        site: cases of different sites (modalities, centres) become data of different sites.
        modality: what the image is.
        image: a file, the folder of a DICOM series, or the files of one.
        label: a file of label values, or its parts.
    """

    name: str
    patient: str
    site: str
    modality: Modality
    image: Path | tuple[Path, ...]
    label: Path | OrganFiles | SliceMasks | DicomLabel

    @property
    def place(self) -> Path:
        """A path that names the image in messages."""
        return self.image if isinstance(self.image, Path) else self.image[0]


@dataclass(frozen=True)
class BadCase:
    """A case of the source that cannot be prepared, and why."""

    name: str
    error: DataError


@dataclass(frozen=True)
class Source:
    """What a reader found.

    Attributes:
        cases: the cases, those of each site in a fixed order.
        values: for each site the organs that were annotated there, and the label values of each.
        bad: what would be a case if it had all its parts, once.
    """

    cases: tuple[SourceCase, ...]
    values: Mapping[str, Mapping[str, tuple[int, ...]]]
    bad: tuple[BadCase, ...] = ()

    @classmethod
    def of(
        cls, cases: Sequence[SourceCase], values: Mapping[str, tuple[int, ...]], bad: Sequence[BadCase] = ()
    ) -> Source:
        """A source whose sites have all annotated the same organs."""
        return cls(tuple(cases), {site: values for site in sorted({case.site for case in cases})}, tuple(bad))


@dataclass(frozen=True)
class Given:
    """What the user says of a source beyond its layout: where the layout itself does not tell.

    Attributes:
        modality: modality of the images.
        images: glob pattern of the images (layouts patterns and bids).
        labels: glob pattern of the labels (layouts patterns and bids).
    """

    modality: Modality | None = None
    images: str | None = None
    labels: str | None = None


class Reader(Protocol):
    """Lists the cases of a source folder of one layout.

    Raises:
        DataError: the folder is not of this layout.
    """

    def __call__(self, source: Path, given: Given) -> Source:
        """List the cases."""


def not_this_layout(source: Path, expected: str) -> DataError:
    """The error for a folder in which a reader finds nothing of its own."""
    found = sorted(path.name + "/" * path.is_dir() for path in source.iterdir())
    return DataError(
        f"{source}: expected {expected}; found {', '.join(found[:6]) or 'nothing'}{', ...' if len(found) > 6 else ''}.",
        "Give the folder that holds these, or choose the layout that fits (flareseg data prepare --help).",
        code=ErrorCode.NO_DATA,
    )


def unreadable_source(path: Path, problem: str, remedy: str) -> DataError:
    """The error for a part of a source that cannot be used."""
    return DataError(f"{path}: {problem}", remedy, code=ErrorCode.NO_DATA)


def no_partner(path: Path, other: str, expected: Path) -> DataError:
    """The error for an image without its label, or a label without its image."""
    return unreadable_source(
        path, f"has no {other}: expected {expected}.", f"Add the {other}, or leave the case out with --except."
    )


def there_twice(name: str, paths: Sequence[Path]) -> DataError:
    """The error for files that would be one and the same image or label."""
    return unreadable_source(
        paths[0],
        f"{name} is there twice: also as {', '.join(map(str, paths[1:]))}.",
        "Keep one of them in the source, prepare a subfolder at a time, or leave the case out with --except.",
    )


def told_modality(given: Given, source: Path) -> Modality:
    """The modality that the user gave, where the layout does not tell it."""
    if given.modality is None:
        raise unreadable_source(source, "the layout does not tell the modality.", "Add --modality CT, MR or RGB.")
    return given.modality
