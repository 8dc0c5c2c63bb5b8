"""TotalSegmentator (Wasserthal et al. 2023; MR: Akinci D'Antonoli et al. 2025): one mask file for each organ."""

from __future__ import annotations

from pathlib import Path

from flareseg.config.task import Modality
from flareseg.data.prepare.layouts.source import (
    Given,
    OrganFiles,
    Source,
    SourceCase,
    no_partner,
    not_this_layout,
    stem,
    volumes,
)

IMAGES: dict[str, Modality] = {"ct": "CT", "mri": "MR"}


def read(source: Path, given: Given) -> Source:
    """List the subjects; the organs are numbered by name over all subjects of a modality."""
    cases: list[SourceCase] = []
    named: dict[str, set[str]] = {}
    for folder in sorted(path for path in source.iterdir() if path.is_dir()):
        found = {stem(path): path for path in volumes(folder) if stem(path) in IMAGES}
        organs = {stem(path): path for path in volumes(folder / "segmentations")}
        if organs and not found:
            raise no_partner(folder / "segmentations", "image", folder / "ct.nii.gz")
        for kind, image in found.items():
            if not organs:
                raise no_partner(image, "segmentations", folder / "segmentations" / "ORGAN.nii.gz")
            name = folder.name if len(found) == 1 else f"{folder.name}-{kind}"
            modality = IMAGES[kind]
            named.setdefault(modality.lower(), set()).update(organs)
            cases.append(SourceCase(name, folder.name, modality.lower(), modality, image, OrganFiles(organs)))
    if not cases:
        raise not_this_layout(source, "sNNNN/ct.nii.gz or sNNNN/mri.nii.gz with sNNNN/segmentations/ORGAN.nii.gz")
    numbered = {
        site: {organ: (number,) for number, organ in enumerate(sorted(names), start=1)} for site, names in named.items()
    }
    return Source(tuple(cases), numbered)
