"""Files of a source folder: which count, in which order, and which belong together by name."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from flareseg.data.case_files import NIFTI
from flareseg.data.prepare.layouts.source import BadCase, no_partner, there_twice


def listed(folder: Path, endings: tuple[str, ...] = NIFTI) -> list[Path]:
    """The files of a folder with one of these endings, in capitals or not, in natural order.

    Names that start with a dot are left out: macOS leaves ``._x.nii.gz`` beside ``x.nii.gz``.
    """
    if not folder.is_dir():
        return []
    found = (path for path in folder.iterdir() if is_visible(path.name) and has_ending(path, endings))
    return sorted((path for path in found if path.is_file()), key=natural)


def below(source: Path, endings: tuple[str, ...] = NIFTI) -> Iterator[Path]:
    """As :func:`listed`, in all subfolders too."""
    yield from listed(source, endings)
    for folder in folders(source):
        yield from below(folder, endings)


def folders(folder: Path) -> list[Path]:
    """The subfolders in natural order; links to folders are followed by nobody, so that none is met twice."""
    with os.scandir(folder) as entries:
        found = [Path(entry.path) for entry in entries if entry.is_dir(follow_symlinks=False)]
    return sorted((path for path in found if is_visible(path.name)), key=natural)


def is_visible(name: str) -> bool:
    """Whether a name is neither hidden nor one of macOS's folders of hidden files."""
    return not name.startswith(".") and name != "__MACOSX"


def has_ending(path: Path, endings: tuple[str, ...]) -> bool:
    """Whether a file has one of the endings (lower case), in capitals or not."""
    return path.name.lower().endswith(endings)


def stem(path: Path, endings: tuple[str, ...] = NIFTI) -> str:
    """The file's name without its ending, such as ``.nii.gz``."""
    return next((path.name[: -len(ending)] for ending in endings if has_ending(path, (ending,))), path.name)


def natural(path: Path) -> list[str | int]:
    """Sort key by which ``2.png`` comes before ``10.png``, and ``2.png`` beside ``02.png``."""
    parts = re.split(r"([0-9]+)", path.name)
    return [int(part) if number % 2 else part for number, part in enumerate(parts)] + [path.name]


def by_key(paths: Iterable[Path], key: Callable[[Path], str]) -> dict[str, list[Path]]:
    """Files by what they stand for."""
    found: dict[str, list[Path]] = {}
    for path in paths:
        found.setdefault(key(path), []).append(path)
    return found


def pair_up(
    images: dict[str, list[Path]],
    labels: dict[str, list[Path]],
    expected: Callable[[str, str], Path],
    prefix: str = "",
    words: tuple[str, str] = ("image", "label"),
) -> tuple[dict[str, tuple[Path, Path]], list[BadCase]]:
    """Pair images and labels that stand for the same.

    Args:
        images: by key.
        labels: by key.
        expected: from "image" or "label" and a key to the file that would be missing.
        prefix: makes the name of the case from a key.
        words: what an image and a label are called here.

    Returns:
        Image and label by key; and each key for which there is not one image and one label.
    """
    pairs, bad = {}, []
    for key in dict.fromkeys([*images, *labels]):
        ours, theirs = images.get(key, []), labels.get(key, [])
        several = next((paths for paths in (ours, theirs) if len(paths) > 1), None)
        if several:
            bad.append(BadCase(prefix + key, there_twice(several[0].name, several)))
        elif not theirs:
            bad.append(BadCase(prefix + key, no_partner(ours[0], words[1], expected("label", key))))
        elif not ours:
            bad.append(BadCase(prefix + key, no_partner(theirs[0], words[0], expected("image", key))))
        else:
            pairs[key] = (ours[0], theirs[0])
    return pairs, bad
