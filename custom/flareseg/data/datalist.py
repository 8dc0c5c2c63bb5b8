"""From ``site.yaml`` to lists of cases: pairing by wildcard, MONAI datalists, and a split by seed."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from os import fspath
from pathlib import Path
from typing import Literal

import numpy as np

from flareseg.config.site import DataSource
from flareseg.data.faults import FileFault, SplitFault
from flareseg.data.faults.findings import Finding, errors
from flareseg.errors import plain, shown

SplitName = Literal["training", "validation", "testing"]
SPLITS: tuple[SplitName, ...] = ("training", "validation", "testing")


@dataclass(frozen=True)
class Case:
    """One image with its label; ``name`` and ``patient`` identify it within the site and never leave it."""

    name: str
    image: Path
    label: Path
    patient: str | None = None


def load_cases(source: DataSource) -> dict[SplitName, list[Case]]:
    """List the cases of each split.

    Args:
        source: the ``data`` part of a site.yaml.

    Returns:
        The cases of training, validation and testing, in a fixed order.

    Raises:
        DataError: the root is missing, nothing matches, an image has no label or a label no image, the datalist is
            not readable, or a path leaves the root.
    """
    splits, findings = list_cases(source)
    for finding in errors(findings):
        raise finding.error()
    return splits


def list_cases(source: DataSource) -> tuple[dict[SplitName, list[Case]], list[Finding]]:
    """List the cases that can be told from ``source``, and all that is wrong with it; see :func:`load_cases`."""
    findings = [finding for root in (source.root, source.label_root) if root for finding in _root_faults(root)]
    if findings:
        return {split: [] for split in SPLITS}, findings
    try:
        splits = (_from_patterns if source.datalist is None else _from_datalist)(source, findings)
    except _Unlisted as reason:
        return {split: [] for split in SPLITS}, [reason.finding]
    if not splits["training"] and not findings:
        findings.append(Finding(SplitFault.NO_TRAINING, f"{source.root}: no training cases."))
    return splits, findings


class _Unlisted(Exception):  # noqa: N818 - a finding on its way out
    """Nothing can be listed at all."""

    def __init__(self, kind: FileFault, message: str) -> None:
        super().__init__(message)
        self.finding = Finding(kind, message)


def _root_faults(root: Path) -> list[Finding]:
    try:
        if not root.is_dir():
            return [Finding(FileFault.ROOT_MISSING, f"{root}: no such folder.")]
        next(root.iterdir(), None)
    except PermissionError:
        return [Finding(FileFault.ROOT_FORBIDDEN, f"{root}: permission denied.")]
    except (OSError, ValueError):
        return [Finding(FileFault.ROOT_MISSING, f"{plain(str(root))}: no folder can have this name.")]
    return []


def _from_patterns(source: DataSource, findings: list[Finding]) -> dict[SplitName, list[Case]]:
    pairs, faults = _pairs(source.root, source.images or "", source.labels or "")
    findings += faults
    cases = [Case(key, image, label) for key, (image, label) in pairs.items()]
    return split_cases(cases, source.split.validation, source.split.testing, source.split.seed)


def pair_files(root: Path, images: str, labels: str) -> dict[str, tuple[Path, Path]]:
    """Pair images and labels by what the wildcards of their glob patterns match.

    Returns:
        Image and label by what the wildcards match, sorted.

    Raises:
        DataError: nothing matches, an image has no label or a label no image, or a pattern or a file leaves the root.
    """
    try:
        pairs, faults = _pairs(root, images, labels)
    except _Unlisted as reason:
        raise reason.finding.error() from None
    for fault in faults:
        raise fault.error()
    return pairs


def _pairs(root: Path, images: str, labels: str) -> tuple[dict[str, tuple[Path, Path]], list[Finding]]:
    found, marked = _match(root, images), _match(root, labels)
    if not found:
        raise _Unlisted(FileFault.NO_IMAGES, f"{root}: nothing matches the image pattern {images}.")
    faults = []
    for kind, other, here, there in (
        (FileFault.IMAGE_WITHOUT_LABEL, "label", found, marked),
        (FileFault.LABEL_WITHOUT_IMAGE, "image", marked, found),
    ):
        lonely = sorted(set(here) - set(there))
        faults += [Finding(kind, f"{here[key]}: has no {other} ({len(lonely)} such files).", key) for key in lonely]
    pairs = {key: (found[key], marked[key]) for key in sorted(set(found) & set(marked))}
    faults += [
        Finding(FileFault.OUTSIDE_ROOT, _outside(path, root), key)
        for key, pair in pairs.items()
        for path in pair
        if not _lies_below(path, root)
    ]
    return pairs, faults


def _match(root: Path, pattern: str) -> dict[str, Path]:
    """Files below ``root`` by what the wildcards of ``pattern`` match."""
    if Path(pattern).is_absolute() or ".." in Path(pattern).parts or set("[]") & set(pattern):
        raise _Unlisted(
            FileFault.PATTERN_BAD,
            f"{root}: the pattern {pattern} should stay below the root and use *, ** and ? only.",
        )
    expression = "".join(
        {"**/": "((?:.*/)?)", "*": "([^/]*)", "?": "([^/])"}.get(part) or re.escape(part)
        for part in re.split(r"(\*\*/|\*|\?)", pattern)
    )
    found: dict[str, Path] = {}
    try:
        paths = sorted(root.glob(pattern))
    except (OSError, ValueError, NotImplementedError) as error:  # too long, a null byte, ** beside other signs
        raise _Unlisted(
            FileFault.PATTERN_BAD, f"{root}: the pattern {plain(pattern)} cannot be used ({plain(str(error))})."
        ) from None
    for path in paths:
        match = re.fullmatch(expression, path.relative_to(root).as_posix())
        if match and path.is_file():
            key = "|".join(group.strip("/") for group in match.groups() if group is not None) or path.name
            found[key] = path
    return found


def split_cases(cases: Sequence[Case], validation: float, testing: float, seed: int) -> dict[SplitName, list[Case]]:
    """Split cases at random by seed; each share above zero gets at least one case where three are there.

    Returns:
        The cases of each split, sorted by name.
    """
    order = np.random.default_rng(seed).permutation(len(cases))
    counts = split_counts(len(cases), validation, testing)
    ends = np.cumsum(counts)
    parts = np.split(order, ends)
    named: dict[SplitName, np.ndarray] = {"validation": parts[0], "testing": parts[1], "training": parts[2]}
    return {name: [cases[index] for index in sorted(named[name])] for name in SPLITS}


def split_counts(total: int, validation: float, testing: float) -> tuple[int, int]:
    """How many of ``total`` validate and test: at least one for a share above zero, but one is left to train."""
    if total < 3:
        return 0, 0
    tests = min(max(1, round(testing * total)), total - 2) if testing else 0
    validates = min(max(1, round(validation * total)), total - 1 - tests) if validation else 0
    return validates, tests


def _from_datalist(source: DataSource, findings: list[Finding]) -> dict[SplitName, list[Case]]:
    path = source.root / str(source.datalist)
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        entries = {
            split: [
                (fspath(entry["image"]), fspath(entry["label"]), _patient(entry.get("patient")))
                for entry in content.get(split, [])
            ]
            for split in SPLITS
        }
    except FileNotFoundError:
        raise _Unlisted(FileFault.DATALIST_MISSING, f"{path}: no such file.") from None
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise _Unlisted(
            FileFault.DATALIST_BAD, f"{path}: is not a MONAI datalist ({type(error).__name__}: {plain(str(error))})."
        ) from None
    label_root = source.label_root or source.root
    splits: dict[SplitName, list[Case]] = {split: [] for split in SPLITS}
    for split, image, label, patient in ((split, *entry) for split, found in entries.items() for entry in found):
        faults = [*_entry_faults(source.root, image, image), *_entry_faults(label_root, label, image)]
        findings += faults
        if not faults:
            splits[split].append(Case(image, (source.root / image).resolve(), (label_root / label).resolve(), patient))
    return splits


def _patient(value: object) -> str | None:
    """A patient's name as the datalist gives it: text or a whole number."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    raise TypeError(f"patient should be text or a whole number, found {shown(value)}")


def _entry_faults(root: Path, name: str, case: str) -> list[Finding]:
    path = root / name
    try:
        path = path.resolve()
        if not _lies_below(path, root):
            return [Finding(FileFault.OUTSIDE_ROOT, _outside(path, root), case)]
        if not path.is_file():
            return [Finding(FileFault.FILE_MISSING, f"{path}: no such file, but the datalist names it.", case)]
    except PermissionError:
        return [Finding(FileFault.FILE_FORBIDDEN, f"{path}: permission denied.", case)]
    except (OSError, ValueError, RuntimeError):  # too long, a null byte, half of a surrogate pair, a loop of links
        return [Finding(FileFault.FILE_MISSING, f"{plain(str(path))}: no file can have this name.", plain(case))]
    return []


def _lies_below(path: Path, root: Path) -> bool:
    """Whether a path stays below the root once all links are followed."""
    return path.resolve().is_relative_to(root.resolve())


def _outside(path: Path, root: Path) -> str:
    return f"{path}: lies outside the data root {root}" + (
        "." if path == path.resolve() else f": it is a link to {path.resolve()}."
    )
