"""Cases and patients over the splits: who is where, and twice."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from flareseg.config.site import DataSource
from flareseg.data.case import Case, SplitName
from flareseg.data.faults import SplitFault
from flareseg.data.faults.findings import Finding

Splits = Mapping[SplitName, Sequence[Case]]

_BIDS = re.compile(r"(?:^|[/|])(sub-[0-9A-Za-z]+)(?=[_/|.]|$)")
_PREFIX = re.compile(r"(?:^|[/|])((?:[0-9A-Za-z-]*[0-9][0-9A-Za-z-]*))[_/|][^/|]+$")


def split_faults(splits: Splits, source: DataSource) -> Iterator[Finding]:
    """Check counts, repeated files and patients over training, validation and testing."""
    yield from _counts(splits, source)
    yield from _repeated_files(splits)
    yield from _patients(splits)


def _counts(splits: Splits, source: DataSource) -> Iterator[Finding]:
    total = sum(map(len, splits.values()))
    if len(splits["training"]) == 1:
        yield Finding(SplitFault.FEW_TRAINING, f"{source.root}: 1 of {total} cases is for training.")
    held_out: dict[SplitName, SplitFault] = {
        "validation": SplitFault.NO_VALIDATION,
        "testing": SplitFault.NO_TESTING,
    }
    for split, kind in held_out.items():
        if splits["training"] and not splits[split]:
            yield Finding(kind, f"{source.root}: none of {total} cases is for {split}.")


def _repeated_files(splits: Splits) -> Iterator[Finding]:
    images: dict[Path, list[tuple[SplitName, Case]]] = defaultdict(list)
    labels: dict[Path, list[Case]] = defaultdict(list)
    names: dict[str, set[Path]] = defaultdict(set)
    for split, case in _each(splits):
        images[case.image].append((split, case))
        labels[case.label].append(case)
        for path in (case.image, case.label):
            names[str(path).lower()].add(path)
    for path, uses in images.items():
        where = sorted({split for split, _ in uses})
        if len(where) > 1:
            yield Finding(SplitFault.CASE_IN_TWO_SPLITS, f"{path}: is listed in {_and(where)}.", uses[0][1].name)
        elif len(uses) > 1:
            yield Finding(SplitFault.CASE_TWICE, f"{path}: is listed {len(uses)} times in {where[0]}.", uses[0][1].name)
    for path, cases in labels.items():
        others = sorted({str(case.image.name) for case in cases})
        if len({case.image for case in cases}) > 1:
            yield Finding(SplitFault.LABEL_SHARED, f"{path}: is the label of {_and(others)}.", cases[0].name)
    for paths in names.values():
        if len(paths) > 1:
            yield Finding(SplitFault.NAMES_DIFFER_BY_CASE, f"{_and(sorted(map(str, paths)))} differ only in capitals.")


def _patients(splits: Splits) -> Iterator[Finding]:
    """Patients named by the datalist or by BIDS are certain; a common start of names before _ or / is a guess."""
    certain: dict[str, dict[SplitName, list[str]]] = defaultdict(lambda: defaultdict(list))
    guessed: dict[str, dict[SplitName, list[str]]] = defaultdict(lambda: defaultdict(list))
    for split, case in _each(splits):
        bids = _BIDS.search(case.name)
        if case.patient is not None or bids:
            certain[case.patient or (bids[1] if bids else "")][split].append(case.name)
        elif prefix := _PREFIX.search(re.sub(r"(\.nii)?\.\w+$", "", case.name)):
            guessed[prefix[1]][split].append(case.name)
    for patient, where in certain.items():
        if len(where) > 1:
            cases = [f"{names[0]} ({split})" for split, names in where.items()]
            yield Finding(
                SplitFault.PATIENT_IN_TWO_SPLITS,
                f"Patient {patient} is in {_and(sorted(where))}: {_and(cases)}.",
                next(iter(where.values()))[0],
            )
    doubtful = {prefix: where for prefix, where in guessed.items() if len(where) > 1}
    if doubtful and len(guessed) > 1:
        start, where = next(iter(doubtful.items()))
        cases = [f"{names[0]} ({split})" for split, names in where.items()]
        yield Finding(
            SplitFault.PATIENT_DOUBTFUL,
            f"{len(doubtful)} common starts of names occur in several splits, such as {start}: {_and(cases)}.",
        )


def _each(splits: Splits) -> Iterator[tuple[SplitName, Case]]:
    for split, cases in splits.items():
        for case in cases:
            yield split, case


def _and(words: Sequence[str]) -> str:
    return " and ".join(words) if len(words) < 4 else f"{', '.join(words[:3])} and {len(words) - 3} more"
