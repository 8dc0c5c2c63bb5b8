"""Images and labels below a folder, paired by what the wildcards of their patterns match."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from flareseg.data.case import Case
from flareseg.data.exclusion import Exclusion
from flareseg.data.faults import FileFault
from flareseg.data.faults.findings import CaseError, Finding
from flareseg.errors import plain

_WILDCARD = re.compile(r"(\*\*/|\*|\?)")


class UnlistedError(CaseError):
    """Nothing can be listed at all."""

    def __init__(self, kind: FileFault, message: str) -> None:
        super().__init__(Finding(kind, message))


def pair_files(
    root: Path, images: Mapping[str, str], labels: str, excluded: Exclusion
) -> tuple[list[Case], list[Finding]]:
    """Pair images and labels.

    Args:
        root: folder that none of the files leaves, links followed.
        images: pattern of each channel; one without a name of images with a single channel.
        labels: pattern of the labels.
        excluded: cases that are not wanted, whatever is wrong with them.

    Returns:
        The cases that have all of their files, sorted by name, and what is wrong with the others.

    Raises:
        UnlistedError: nothing matches, or a pattern leaves the root.
    """
    faults: list[Finding] = []
    found = {channel: _match(root, pattern, faults) for channel, pattern in images.items()}
    marked = _match(root, labels, faults)
    if not any(found.values()):
        raise UnlistedError(
            FileFault.NO_IMAGES, f"{root}: nothing matches the image pattern {', '.join(images.values())}."
        )
    seen = {key: path for files in reversed(found.values()) for key, path in files.items()}
    out = {
        key
        for key in sorted({*seen, *marked})
        if excluded.takes(key, *(files[key] for files in (*found.values(), marked) if key in files))
    }
    faults = [fault for fault in faults if fault.case not in out]
    for kind, other, here, there in (
        (FileFault.IMAGE_WITHOUT_LABEL, "label", seen, marked),
        (FileFault.LABEL_WITHOUT_IMAGE, "image", marked, seen),
    ):
        lonely = sorted(set(here) - set(there) - out)
        faults += [Finding(kind, f"{here[key]}: has no {other} ({len(lonely)} such files).", key) for key in lonely]
    cases = []
    for key in sorted((set(seen) & set(marked)) - out - {fault.case for fault in faults}):
        channels = tuple((channel, files[key]) for channel, files in found.items() if key in files)
        if lacking := [channel for channel, files in found.items() if key not in files]:
            message = f"{seen[key]}: has no {', '.join(lacking)} beside it."
            faults.append(Finding(FileFault.CHANNEL_MISSING, message, key))
            continue
        case = Case(key, channels[0][1], marked[key], channels=channels if "" not in images else ())
        cases.append(case)
        faults += [
            Finding(FileFault.OUTSIDE_ROOT, outside(path, root), key)
            for path in case.files
            if not lies_below(path, root)
        ]
    away = {fault.case for fault in faults}
    return [case for case in cases if case.name not in away], faults


def _match(root: Path, pattern: str, faults: list[Finding]) -> dict[str, Path]:
    """Files below ``root`` by what the wildcards of ``pattern`` match; a file's ending may be in capitals."""
    if Path(pattern).is_absolute() or ".." in Path(pattern).parts or set("[]") & set(pattern):
        raise UnlistedError(
            FileFault.PATTERN_BAD,
            f"{root}: the pattern {pattern} should stay below the root and use *, ** and ? only.",
        )
    parts = _WILDCARD.split(pattern)
    expression = "".join(
        {"**/": "((?:.*/)?)", "*": "([^/]*)", "?": "([^/])"}.get(part) or re.escape(part) for part in parts[:-1]
    )
    start, dot, ending = parts[-1].partition(".")
    expression += f"{re.escape(start)}(?i:{re.escape(dot + ending)})"
    either = "".join(f"[{letter.lower()}{letter.upper()}]" if letter.isalpha() else letter for letter in ending)
    found: dict[str, Path] = {}
    try:
        paths = sorted(root.glob("".join(parts[:-1]) + start + dot + either))
    except (OSError, ValueError, NotImplementedError) as error:  # too long, a null byte, ** beside other signs
        raise UnlistedError(
            FileFault.PATTERN_BAD, f"{root}: the pattern {plain(pattern)} cannot be used ({plain(str(error))})."
        ) from None
    for path in paths:
        name = path.relative_to(root).as_posix()
        match = re.fullmatch(expression, name)
        if not match or _is_hidden(name, pattern) or not path.is_file():
            continue
        key = "|".join(group.strip("/") for group in match.groups() if group is not None) or path.name
        if key in found:
            message = f"{path}: is the same case as {found[key]}, by what the wildcards of {pattern} match."
            faults.append(Finding(FileFault.CASE_AMBIGUOUS, message, key))
        found.setdefault(key, path)
    return found


def _is_hidden(name: str, pattern: str) -> bool:
    """Whether a wildcard would have to match a name that begins with a dot, as in a shell it does not."""
    asked = {part for part in pattern.split("/") if part.startswith(".")}
    return any(part.startswith(".") for part in name.split("/")) and not asked


def lies_below(path: Path, root: Path) -> bool:
    """Whether a path stays below the root once all links are followed."""
    return path.resolve().is_relative_to(root.resolve())


def outside(path: Path, root: Path) -> str:
    """What is wrong with a file outside the root."""
    return f"{path}: lies outside the data root {root}" + (
        "." if path == path.resolve() else f": it is a link to {path.resolve()}."
    )
