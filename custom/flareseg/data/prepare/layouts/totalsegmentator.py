"""TotalSegmentator (Wasserthal et al. 2023; MR: Akinci D'Antonoli et al. 2025): one mask file for each organ."""

from __future__ import annotations

from pathlib import Path

from flareseg.config.task import Modality
from flareseg.data.prepare.layouts.files import by_key, folders, listed, stem
from flareseg.data.prepare.layouts.source import (
    BadCase,
    Given,
    OrganFiles,
    Source,
    SourceCase,
    no_partner,
    not_this_layout,
    there_twice,
)

IMAGES: dict[str, Modality] = {"ct": "CT", "mri": "MR"}


def read(source: Path, given: Given) -> Source:
    """List the subjects; the organs are numbered by name over all subjects of a modality."""
    cases: list[SourceCase] = []
    bad: list[BadCase] = []
    named: dict[str, set[str]] = {}
    for folder in folders(source):
        images = by_key(
            (path for path in listed(folder) if stem(path).lower() in IMAGES), lambda path: stem(path).lower()
        )
        masks = by_key(listed(folder / "segmentations"), stem)
        several = next((paths for paths in [*images.values(), *masks.values()] if len(paths) > 1), None)
        if several:
            bad.append(BadCase(folder.name, there_twice(stem(several[0]), several)))
        elif masks and not images:
            bad.append(BadCase(folder.name, no_partner(folder / "segmentations", "image", folder / "ct.nii.gz")))
        elif images and not masks:
            expected = folder / "segmentations" / "ORGAN.nii.gz"
            bad.append(BadCase(folder.name, no_partner(next(iter(images.values()))[0], "segmentations", expected)))
        else:
            organs = {organ: path for organ, (path,) in masks.items()}
            for kind, (image,) in images.items():
                name = folder.name if len(images) == 1 else f"{folder.name}-{kind}"
                modality = IMAGES[kind]
                named.setdefault(modality.lower(), set()).update(organs)
                cases.append(SourceCase(name, folder.name, modality.lower(), modality, image, OrganFiles(organs)))
    if not cases and not bad:
        raise not_this_layout(source, "sNNNN/ct.nii.gz or sNNNN/mri.nii.gz with sNNNN/segmentations/ORGAN.nii.gz")
    numbered = {
        site: {organ: (number,) for number, organ in enumerate(sorted(names), start=1)} for site, names in named.items()
    }
    return Source(tuple(cases), numbered, tuple(bad))
