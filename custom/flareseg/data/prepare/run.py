"""From a folder of a known layout to a site's data: conversion where it is due, splits by patient, site.yaml."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from flareseg.config.task import Task
from flareseg.data.datalist import SPLITS, Case, SplitName
from flareseg.data.lesion_size import lesion_size
from flareseg.data.prepare.convert import CONVERT_VERSION, convert, source_files
from flareseg.data.prepare.duplicates import same_files
from flareseg.data.prepare.label_map import LabelMap, lesion_values, map_labels
from flareseg.data.prepare.layouts import LAYOUTS
from flareseg.data.prepare.layouts.source import Given, OrganFiles, Source, SourceCase
from flareseg.data.prepare.progress_file import Made, state_of
from flareseg.data.prepare.splits import SplitPlan, split_patients
from flareseg.data.prepare.subset import Subset
from flareseg.data.prepare.write_site import PreparedCase, PreparedSite, write_site
from flareseg.errors import DataError, ErrorCode, SettingsError

Progress = Callable[[int, int], None]
"""Told the number of cases done and of all."""


@dataclass(frozen=True)
class Order:
    """What to prepare.

    Attributes:
        layout: how the source is laid out.
        source: the source folder; nothing in it is changed.
        folder: where to write; outside the source.
        task: whose labels to map to; None takes every organ as a label.
        given: what the layout does not tell.
        site: name of the one modality or centre to take.
        only: glob pattern of the names of the cases to take.
        patients: regular expression whose first group is the patient in a case's name.
        maps: ``LABEL=ORGAN,...`` that go before the names.
        window: HU at 0 and at 255 of 8-bit CT images.
        plan: the splits.
        subset: what of the training cases to use.
    """

    layout: str
    source: Path
    folder: Path
    task: Task | None = None
    given: Given = field(default_factory=Given)
    site: str | None = None
    only: str = "*"
    patients: str | None = None
    maps: Sequence[str] = ()
    window: tuple[float, float] | None = None
    plan: SplitPlan = field(default_factory=SplitPlan)
    subset: Subset = field(default_factory=Subset)


def prepare(order: Order, progress: Progress) -> list[PreparedSite]:
    """Prepare a source.

    Data of one modality (or centre) goes into the folder, data of several into a folder each below it. What an
    earlier, interrupted run has made of the same files is kept.

    Args:
        order: what to prepare.
        progress: called after each case.

    Returns:
        The sites, by name.

    Raises:
        DataError: the source is not of the layout, a file cannot be used, or the folder holds something else.
        SettingsError: what is wanted does not fit the data.
    """
    source, folder = order.source.expanduser().resolve(), order.folder.expanduser().resolve()
    _check_folders(source, folder)
    found: Source = LAYOUTS.load(order.layout)(source, order.given)
    cases = _wanted(found, order, source)
    sites = sorted({case.site for case in cases})
    folders = {site: folder / site if len(sites) > 1 else folder for site in sites}
    labels = {site: map_labels(found.values[site], order.task, order.maps) for site in sites}
    made = Made(folder, order.layout, source)
    prepared = []
    try:
        for number, case in enumerate(cases, start=1):
            organs = found.values[case.site]
            ready = _prepare_case(case, organs, labels[case.site], folders[case.site], made)
            lesions = lesion_values(organs, labels[case.site], order.task)
            prepared.append(_measured(ready, lesions, made) if lesions else ready)
            progress(number, len(cases))
    finally:
        made.save()
    splits = _divide(_one_patient(prepared), order)
    return [write_site(folders[site], source, splits[site], labels[site], order.window) for site in sites]


def _check_folders(source: Path, folder: Path) -> None:
    if not source.is_dir():
        raise DataError(f"{source}: no such folder.", "Give the folder of the data set.", code=ErrorCode.NO_DATA)
    if folder.is_relative_to(source):
        raise DataError(
            f"{folder}: lies in the source {source}, which is never changed.",
            "Choose a folder elsewhere.",
            code=ErrorCode.NO_DATA,
        )


def _wanted(found: Source, order: Order, source: Path) -> list[SourceCase]:
    cases = [
        case
        for case in found.cases
        if order.given.modality in (None, case.modality)
        and order.site in (None, case.site)
        and fnmatch.fnmatchcase(case.name, order.only)
    ]
    if not cases:
        names = ", ".join(sorted({case.site for case in found.cases}))
        raise DataError(
            f"{source}: none of {len(found.cases)} cases ({names}) is of the modality, centre and name wanted.",
            "Correct --modality, --centre or --only.",
            code=ErrorCode.NO_DATA,
        )
    twice = sorted({case.name for case in cases if sum(case.name == other.name for other in cases) > 1})
    if twice:
        raise DataError(
            f"{source}: {len(twice)} names stand for several cases, such as {twice[0]}.",
            "Rename one of each, or prepare a subfolder at a time.",
            code=ErrorCode.NO_DATA,
        )
    return [_with_patient(case, order.patients) for case in cases] if order.patients else cases


def _with_patient(case: SourceCase, expression: str) -> SourceCase:
    try:
        match = re.search(expression, case.name)
        patient = match[1] if match else None
    except (re.error, IndexError) as error:
        raise SettingsError(
            f"--patients {expression}: expected a regular expression with a group ({error}).", "Such as '^(\\d+)_'."
        ) from None
    if not patient:
        raise SettingsError(f"--patients {expression}: finds no patient in {case.name}.", "Correct the expression.")
    return replace(case, patient=patient)


def _prepare_case(
    case: SourceCase, organs: Mapping[str, tuple[int, ...]], labels: LabelMap, folder: Path, made: Made
) -> PreparedCase:
    image, label = case.image, case.label
    wanted: dict[str, int] = {}
    if isinstance(label, OrganFiles):
        used = {value for values in labels.values() for value in values or ()}
        wanted = {organ: value for organ, (value,) in organs.items() if value in used}
        case = replace(case, label=OrganFiles({organ: path for organ, path in label.files.items() if organ in wanted}))
    if image.is_dir():
        image = folder / "images" / f"{case.name}.nii.gz"
    if not isinstance(label, Path):
        label = folder / "labels" / f"{case.name}.nii.gz"
        state = state_of(source_files(case), CONVERT_VERSION, wanted)
        if not (made.get(f"convert {case.name}", state) and image.is_file() and label.is_file()):
            convert(case, wanted, image, label)
            made.put(f"convert {case.name}", state, True)
    return PreparedCase(case.name, case.patient, case.site, case.modality, image, label)


def _measured(case: PreparedCase, lesions: tuple[int, ...], made: Made) -> PreparedCase:
    state = state_of([case.label], lesions)
    size = made.get(f"lesion {case.name}", state)
    if size is None:
        size = lesion_size(Case(case.name, case.image, case.label), lesions)
        made.put(f"lesion {case.name}", state, size)
    return replace(case, lesion=float(size))


def _one_patient(cases: Sequence[PreparedCase]) -> list[PreparedCase]:
    """Cases whose images are the same file twice stay together: public sets hold such, under names of their own."""
    patients = {case.patient: case.patient for case in cases}
    of_image = {case.image: case.patient for case in cases}
    for group in same_files(of_image):
        first, *others = (patients[of_image[path]] for path in group)
        patients = {patient: first if now in others else now for patient, now in patients.items()}
    return [replace(case, patient=patients[case.patient]) for case in cases]


def _divide(cases: Sequence[PreparedCase], order: Order) -> dict[str, dict[SplitName, list[PreparedCase]]]:
    """The cases of each site by split; a patient with images at several sites is in the same split at all of them."""
    of_patient: dict[str, list[PreparedCase]] = {}
    for case in cases:
        of_patient.setdefault(case.patient, []).append(case)
    groups: dict[tuple[str, ...], dict[str, float]] = {}
    for patient, theirs in of_patient.items():
        where = tuple(sorted({case.site for case in theirs}))
        groups.setdefault(where, {})[patient] = max(case.lesion for case in theirs)
    divided: dict[SplitName, list[str]] = {split: [] for split in SPLITS}
    try:
        for sizes in groups.values():
            for split, patients in split_patients(sizes, order.plan).items():
                divided[split] += patients
        sites = sorted({case.site for case in cases})
        by_split = {
            split: {site: _of_site(site, patients, of_patient) for site in sites} for split, patients in divided.items()
        }
        training = order.subset.cut(by_split["training"], {case.site: case.modality for case in cases})
    except ValueError as error:
        raise SettingsError(f"{order.source}: {error}.", "Correct the options, or add data.") from None
    return {
        site: {
            split: sorted(
                training[site] if split == "training" else [case for group in by_split[split][site] for case in group],
                key=lambda case: case.name,
            )
            for split in SPLITS
        }
        for site in sites
    }


def _of_site(
    site: str, patients: Sequence[str], of_patient: Mapping[str, Sequence[PreparedCase]]
) -> list[list[PreparedCase]]:
    theirs = ([case for case in of_patient[patient] if case.site == site] for patient in patients)
    return [cases for cases in theirs if cases]
