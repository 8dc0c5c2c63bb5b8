"""The cases of each site by split: by patient, over all sites of a source."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from flareseg.data.datalist import SPLITS, SplitName
from flareseg.data.prepare.duplicates import same_files
from flareseg.data.prepare.order import Order
from flareseg.data.prepare.splits import split_patients
from flareseg.data.prepare.write_site import PreparedCase
from flareseg.errors import SettingsError


def one_patient(cases: Sequence[PreparedCase]) -> list[PreparedCase]:
    """Cases whose images are the same file twice stay together: public sets hold such, under names of their own."""
    patients = {case.patient: case.patient for case in cases}
    of_image = {case.image: case.patient for case in cases}
    for group in same_files(of_image):
        first, *others = (patients[of_image[path]] for path in group)
        patients = {patient: first if now in others else now for patient, now in patients.items()}
    return [replace(case, patient=patients[case.patient]) for case in cases]


def divide(cases: Sequence[PreparedCase], order: Order) -> dict[str, dict[SplitName, list[PreparedCase]]]:
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
