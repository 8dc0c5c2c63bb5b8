"""Which images a command is given: files, folders, DICOM series, datalists."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from flareseg.data.case_files import FRAMES, NIFTI
from flareseg.errors import SettingsError

InputKind = Literal["nifti", "dicom", "frame"]


@dataclass(frozen=True)
class Input:
    """An image to be segmented.

    Attributes:
        name: what its results are called; distinct among the inputs.
        path: the file, or the folder of a DICOM series.
        kind: how it is read.
    """

    name: str
    path: Path
    kind: InputKind


def find_inputs(paths: Sequence[Path]) -> list[Input]:
    """List the images that files, folders and datalists stand for.

    A folder is searched with everything below it; each folder with DICOM files is one series. A datalist is a JSON file
    as MONAI has it, with all its parts, whose paths are taken from its own folder.

    Raises:
        SettingsError: a path does not exist, or stands for no image.
    """
    found: list[tuple[str, Path, InputKind]] = []
    for path in paths:
        several = list(_inputs_of(path))
        if not several:
            raise SettingsError(
                f"{path}: holds no image.", f"Expected {', '.join((*NIFTI, *FRAMES))}, or DICOM files of a series."
            )
        found += several
    return list(_named(found))


def _inputs_of(path: Path) -> Iterator[tuple[str, Path, InputKind]]:
    if path.is_dir():
        yield from _inputs_below(path)
    elif path.suffix.lower() == ".json":
        for entry in _listed(path):
            yield from _inputs_of(entry)
    elif not path.is_file():
        raise SettingsError(f"{path}: no such file or folder.", "Give images that exist.")
    else:
        kind = _kind_of(path)
        if kind == "dicom":
            raise SettingsError(
                f"{path}: is one file of a DICOM series." if _is_dicom(path) else f"{path}: is no kind of image.",
                "Give the folder of the series." if _is_dicom(path) else f"Expected {', '.join((*NIFTI, *FRAMES))}.",
            )
        yield _stem(path), path, kind


def _inputs_below(root: Path) -> Iterator[tuple[str, Path, InputKind]]:
    series: set[Path] = set()
    for path in sorted(root.rglob("*")):
        if not path.is_file() or any(part.startswith(".") for part in path.relative_to(root).parts):
            continue
        kind = _kind_of(path)
        if kind != "dicom":
            yield "-".join((*path.relative_to(root).parts[:-1], _stem(path))), path, kind
        elif path.parent not in series and _is_dicom(path):
            series.add(path.parent)
            inside = path.parent.relative_to(root).parts
            yield "-".join(inside) or root.resolve().name, path.parent, "dicom"


def _kind_of(path: Path) -> InputKind:
    name = path.name.lower()
    return "nifti" if name.endswith(NIFTI) else "frame" if name.endswith(FRAMES) else "dicom"


def _is_dicom(path: Path) -> bool:
    with path.open("rb") as stream:
        return stream.read(132)[128:] == b"DICM"


def _stem(path: Path) -> str:
    suffix = next(suffix for suffix in (".nii.gz", ".nii", *FRAMES) if path.name.lower().endswith(suffix))
    return path.name[: -len(suffix)] or "image"


def _listed(path: Path) -> list[Path]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        parts = content.values() if isinstance(content, dict) else [content]
        entries = [entry for part in parts if isinstance(part, list) for entry in part]
        return [path.parent / (entry if isinstance(entry, str) else entry["image"]) for entry in entries]
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise SettingsError(
            f"{path}: is not a MONAI datalist ({type(error).__name__}).",
            'Expected {"testing": [{"image": "a.nii.gz"}, ...]}.',
        ) from None


def _named(found: Sequence[tuple[str, Path, InputKind]]) -> Iterator[Input]:
    """Results lie side by side: of two inputs of one name the second gets a number."""
    taken: set[str] = set()
    for wanted, path, kind in found:
        name, number = wanted, 1
        while name in taken:
            number += 1
            name = f"{wanted}-{number}"
        taken.add(name)
        yield Input(name, path, kind)
