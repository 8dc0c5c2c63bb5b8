"""From ``site.yaml`` to lists of cases: pairing by wildcard, MONAI datalists, and a split by seed."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from flareseg.errors import DataError, ErrorCode
from flareseg.site import DataSource

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
    for key, root in (("root", source.root), ("label_root", source.label_root)):
        if root is not None and not root.is_dir():
            raise DataError(
                f"{root}: no such folder.", f"Set data.{key} in site.yaml to the data.", code=ErrorCode.NO_DATA
            )
    splits = _from_datalist(source) if source.datalist is not None else _from_patterns(source)
    if not splits["training"]:
        raise DataError(
            f"{source.root}: no training cases.", "Put images there or correct site.yaml.", code=ErrorCode.NO_DATA
        )
    return splits


def _from_patterns(source: DataSource) -> dict[SplitName, list[Case]]:
    pairs = pair_files(source.root, source.images or "", source.labels or "")
    cases = [Case(key, image, label) for key, (image, label) in pairs.items()]
    return split_cases(cases, source.split.validation, source.split.testing, source.split.seed)


def pair_files(root: Path, images: str, labels: str) -> dict[str, tuple[Path, Path]]:
    """Pair images and labels by what the wildcards of their glob patterns match.

    Returns:
        Image and label by what the wildcards match, sorted.

    Raises:
        DataError: nothing matches, an image has no label or a label no image, or a pattern leaves the root.
    """
    found, marked = _match(root, images), _match(root, labels)
    if not found:
        raise DataError(
            f"{root}: nothing matches the image pattern {images}.",
            "Put images there or correct the pattern.",
            code=ErrorCode.NO_DATA,
        )
    lonely = sorted(set(found) ^ set(marked))
    if lonely:
        path, other = (found[lonely[0]], "label") if lonely[0] in found else (marked[lonely[0]], "image")
        raise DataError(
            f"{path}: has no {other} ({len(lonely)} such files).",
            f"Add the {other}, move the file away, or correct the patterns: images and labels pair by their wildcards.",
            code=ErrorCode.NO_DATA,
            case=lonely[0],
        )
    return {key: (found[key], marked[key]) for key in sorted(found)}


def _match(root: Path, pattern: str) -> dict[str, Path]:
    """Files below ``root`` by what the wildcards of ``pattern`` match."""
    if Path(pattern).is_absolute() or ".." in Path(pattern).parts or set("[]") & set(pattern):
        raise DataError(
            f"{root}: the pattern {pattern} should stay below the root and use *, ** and ? only.",
            "Correct the patterns of images and labels.",
            code=ErrorCode.NO_DATA,
        )
    expression = "".join(
        {"**/": "((?:.*/)?)", "*": "([^/]*)", "?": "([^/])"}.get(part) or re.escape(part)
        for part in re.split(r"(\*\*/|\*|\?)", pattern)
    )
    found: dict[str, Path] = {}
    for path in sorted(root.glob(pattern)):
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


def _from_datalist(source: DataSource) -> dict[SplitName, list[Case]]:
    path = source.root / str(source.datalist)
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        entries = {
            split: [(entry["image"], entry["label"], entry.get("patient")) for entry in content.get(split, [])]
            for split in SPLITS
        }
    except FileNotFoundError:
        raise DataError(
            f"{path}: no such file.", "Correct data.datalist in site.yaml.", code=ErrorCode.NO_DATA
        ) from None
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise DataError(
            f"{path}: is not a MONAI datalist ({type(error).__name__}: {error}).",
            'Expected {"training": [{"image": ..., "label": ...}], "validation": ..., "testing": ...}.',
            code=ErrorCode.NO_DATA,
        ) from None
    label_root = source.label_root or source.root
    return {
        split: [
            Case(image, _below(source.root, image, image), _below(label_root, label, image), patient)
            for image, label, patient in found
        ]
        for split, found in entries.items()
    }


def _below(root: Path, name: str, case: str) -> Path:
    path = (root / name).resolve()
    if not path.is_relative_to(root.resolve()):
        raise DataError(
            f"{path}: lies outside the data root {root}.", "Move it below the root.", code=ErrorCode.NO_DATA, case=case
        )
    if not path.is_file():
        raise DataError(
            f"{path}: no such file, but the datalist names it.",
            "Add the file or correct the datalist.",
            code=ErrorCode.NO_DATA,
            case=case,
        )
    return path
