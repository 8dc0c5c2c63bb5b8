"""What a layout's reader finds in a source folder; nothing is converted or written here."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from flareseg.config.task import Modality
from flareseg.errors import DataError, ErrorCode

NIFTI = (".nii.gz", ".nii")


@dataclass(frozen=True)
class OrganFiles:
    """A label of several files: one binary NIfTI mask for each organ, on the image's grid."""

    files: Mapping[str, Path]


@dataclass(frozen=True)
class SliceMasks:
    """A label of one PNG for each slice of a DICOM series; ``grey`` says which label value a grey value stands for."""

    folder: Path
    grey: Mapping[int, int]


@dataclass(frozen=True)
class SourceCase:
    """One image with its label, as it lies in the source.

    Attributes:
        name: identifies the case within the source; fit for a file name.
        patient: cases of one patient are never in two splits.
        site: cases of different sites (modalities, centres) become data of different sites.
        modality: what the image is.
        image: a file, or the folder of a DICOM series.
        label: a file of label values, or its parts.
    """

    name: str
    patient: str
    site: str
    modality: Modality
    image: Path
    label: Path | OrganFiles | SliceMasks


@dataclass(frozen=True)
class Source:
    """What a reader found.

    Attributes:
        cases: the cases, those of each site in a fixed order.
        values: for each site the organs that were annotated there, and the label values of each.
    """

    cases: tuple[SourceCase, ...]
    values: Mapping[str, Mapping[str, tuple[int, ...]]]

    @classmethod
    def of(cls, cases: Sequence[SourceCase], values: Mapping[str, tuple[int, ...]]) -> Source:
        """A source whose sites have all annotated the same organs."""
        return cls(tuple(cases), {site: values for site in sorted({case.site for case in cases})})


@dataclass(frozen=True)
class Given:
    """What the user says of a source beyond its layout: where the layout itself does not tell.

    Attributes:
        modality: modality of the images.
        images: glob pattern of the images (layout patterns).
        labels: glob pattern of the labels (layout patterns).
    """

    modality: Modality | None = None
    images: str | None = None
    labels: str | None = None


class Reader(Protocol):
    """Lists the cases of a source folder of one layout.

    Raises:
        DataError: the folder is not of this layout, or an image has no label.
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
        path, f"has no {other}: expected {expected}.", f"Add the {other}, or move the file out of the source."
    )


def told_modality(given: Given, source: Path) -> Modality:
    """The modality that the user gave, where the layout does not tell it."""
    if given.modality is None:
        raise unreadable_source(source, "the layout does not tell the modality.", "Add --modality CT, MR or RGB.")
    return given.modality


def stem(path: Path, endings: tuple[str, ...] = NIFTI) -> str:
    """The file's name without its ending, such as ``.nii.gz``."""
    return next((path.name[: -len(ending)] for ending in endings if path.name.endswith(ending)), path.name)


def natural(path: Path) -> list[str | int]:
    """Sort key by which ``2.png`` comes before ``10.png``."""
    return [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", path.name)]


def volumes(folder: Path) -> list[Path]:
    """The NIfTI files of a folder by name; files that start with a dot (macOS leaves ``._x.nii.gz``) are none."""
    return sorted(path for path in folder.glob("*.nii*") if path.name.endswith(NIFTI) and not path.name.startswith("."))


def read_dataset_json(source: Path) -> dict[str, Any]:
    """Read ``dataset.json``.

    Raises:
        DataError: it is missing or is no JSON object with labels.
    """
    path = source / "dataset.json"
    if not path.is_file():
        raise not_this_layout(source, "dataset.json with imagesTr/ and labelsTr/")
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise unreadable_source(path, f"is not JSON ({error}).", "Download or export it again.") from None
    if not isinstance(content, dict) or not isinstance(content.get("labels"), dict):
        raise unreadable_source(path, 'expected an object with "labels".', "Download or export it again.")
    return content


def labels_by_value(content: Mapping[str, Any], path: Path) -> dict[str, tuple[int, ...]]:
    """Organs of ``{"0": "background", "1": "liver"}``, as MSD and AMOS write them."""
    labels = content["labels"]
    if not all(str(value).isdigit() and isinstance(name, str) for value, name in labels.items()):
        raise unreadable_source(
            path,
            f'expected labels as {{"1": "liver"}}, found {json.dumps(labels)[:80]}.',
            "The layout nnunet has names first: choose the layout that fits.",
        )
    return {name: (int(value),) for value, name in labels.items() if int(value)}
