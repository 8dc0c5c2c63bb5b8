"""From ``site.yaml`` to lists of cases: patterns, MONAI datalists, and a split by seed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from os import fspath
from os.path import normpath
from pathlib import Path
from typing import Any

import numpy as np

from flareseg.config.site import DataSource
from flareseg.data.case import SPLITS, Case, SplitName
from flareseg.data.exclusion import Exclusion
from flareseg.data.faults import FileFault, SplitFault
from flareseg.data.faults.findings import Finding, errors, stopping
from flareseg.data.pairing import UnlistedError, lies_below, outside, pair_files
from flareseg.errors import plain, shown


@dataclass(frozen=True)
class Listing:
    """What a site.yaml lists.

    Attributes:
        splits: the cases of each split, in a fixed order.
        findings: what is wrong with it.
        excluded: number of cases that site.yaml or the datalist excludes.
    """

    splits: dict[SplitName, list[Case]]
    findings: list[Finding]
    excluded: int = 0

    def left_out(self, source: DataSource) -> int:
        """Number of cases that are not listed for a fault of their own, where the site trains without such."""
        leave_out = source.on_bad_case == "leave_out"
        return len({item.case for item in errors(self.findings) if item.of_one_case}) if leave_out else 0


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
    return load_listing(source).splits


def load_listing(source: DataSource, *, to_train: bool = True) -> Listing:
    """As :func:`load_cases`, with what was excluded and left out.

    Args:
        source: the ``data`` part of a site.yaml.
        to_train: refuse a site without training cases.
    """
    listing = list_cases(source)
    for finding in stopping(listing.findings, leave_out=source.on_bad_case == "leave_out"):
        if to_train or finding.kind is not SplitFault.NO_TRAINING:
            raise finding.error()
    if to_train and not listing.splits["training"]:
        raise Finding(SplitFault.NO_TRAINING, f"{source.root}: no training cases.").error()
    return listing


def list_cases(source: DataSource) -> Listing:
    """List the cases that can be read from ``source``, and all that is wrong with it; see :func:`load_cases`."""
    nothing: dict[SplitName, list[Case]] = {split: [] for split in SPLITS}
    findings = [finding for root in (source.root, source.label_root) if root for finding in _root_faults(root)]
    if findings:
        return Listing(nothing, findings)
    try:
        excluded = Exclusion(source.exclude)
        splits = (_from_patterns if source.datalist is None else _from_datalist)(source, excluded, findings)
    except UnlistedError as reason:
        return Listing(nothing, [reason.finding])
    findings += [
        Finding(FileFault.EXCLUDE_UNUSED, f"{source.root}: no case has the name {name}.") for name in excluded.unused()
    ]
    if not splits["training"] and not errors(findings):
        findings.append(Finding(SplitFault.NO_TRAINING, f"{source.root}: no training cases."))
    return Listing(splits, findings, len(excluded.cases))


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


def _from_patterns(source: DataSource, excluded: Exclusion, findings: list[Finding]) -> dict[SplitName, list[Case]]:
    images = source.images if isinstance(source.images, dict) else {"": source.images or ""}
    cases, faults = pair_files(source.root, images, source.labels or "", excluded)
    findings += faults
    return split_cases(cases, source.split.validation, source.split.testing, source.split.seed)


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


def _from_datalist(source: DataSource, excluded: Exclusion, findings: list[Finding]) -> dict[SplitName, list[Case]]:
    path = source.root / str(source.datalist)
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
        excluded.add(content.get("exclude", []))
        entries = [_entry(entry, split) for split in SPLITS for entry in content.get(split, [])]
    except FileNotFoundError:
        raise UnlistedError(FileFault.DATALIST_MISSING, f"{path}: no such file.") from None
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise UnlistedError(
            FileFault.DATALIST_BAD, f"{path}: is not a MONAI datalist ({type(error).__name__}: {plain(str(error))})."
        ) from None
    label_root = source.label_root or source.root
    splits: dict[SplitName, list[Case]] = {split: [] for split in SPLITS}
    for entry in entries:
        name = next(iter(entry.images.values()))
        if excluded.takes(name, *map(Path, (*entry.images.values(), entry.label))):
            continue
        faults = [fault for image in entry.images.values() for fault in _entry_faults(source.root, image, name)]
        faults += _entry_faults(label_root, entry.label, name)
        findings += faults
        if not faults:
            channels = tuple((channel, _below(source.root, image)) for channel, image in entry.images.items())
            label = _below(label_root, entry.label)
            named = channels if "" not in entry.images else ()
            splits[entry.split].append(Case(name, channels[0][1], label, entry.patient, named))
    return splits


@dataclass(frozen=True)
class _Entry:
    split: SplitName
    images: dict[str, str]
    label: str
    patient: str | None


def _entry(entry: dict[str, Any], split: SplitName) -> _Entry:
    image = entry["image"]
    images = {str(name): fspath(path) for name, path in image.items()} if isinstance(image, dict) else {"": image}
    if not images or not all(isinstance(path, str) for path in (*images.values(), entry["label"])):
        raise TypeError("image should be a file, or a mapping of channels to files; label a file")
    return _Entry(split, images, entry["label"], patient_name(entry.get("patient")))


def patient_name(given: object) -> str | None:
    """A patient as a datalist names them: 1 and "1" are one, nothing and blanks are nobody.

    Raises:
        TypeError: it is no text and no whole number.

    Example:
        >>> patient_name(0), patient_name(" 7 "), patient_name("")
        ('0', '7', None)
    """
    if given is None:
        return None
    if not isinstance(given, str | int) or isinstance(given, bool):
        raise TypeError(f"patient should be text or a whole number, found {shown(given)}")
    return str(given).strip() or None


def _below(root: Path, name: str) -> Path:
    """The file as it is named: the end of a link's own name says what it is, not that of the file behind it."""
    return Path(normpath(root / name))


def _entry_faults(root: Path, name: str, case: str) -> list[Finding]:
    path = _below(root, name)
    try:
        if not lies_below(path, root):
            return [Finding(FileFault.OUTSIDE_ROOT, outside(path, root), case)]
        if not path.is_file():
            return [Finding(FileFault.FILE_MISSING, f"{path}: no such file, but the datalist names it.", case)]
    except PermissionError:
        return [Finding(FileFault.FILE_FORBIDDEN, f"{path}: permission denied.", case)]
    except (OSError, ValueError, RuntimeError):  # too long, a null byte, half of a surrogate pair, a loop of links
        return [Finding(FileFault.FILE_MISSING, f"{plain(str(path))}: no file can have this name.", plain(case))]
    return []
