"""LiTS (Bilic et al. 2023): ``volume-N.nii`` with ``segmentation-N.nii``, liver 1 and tumour 2, in any subfolder."""

from __future__ import annotations

from pathlib import Path

from flareseg.data.prepare.layouts.source import NIFTI, Given, Source, SourceCase, no_partner, not_this_layout, stem

VALUES = {"liver": (1,), "tumour": (2,)}


def read(source: Path, given: Given) -> Source:
    """List the volumes that have a segmentation; ``test-volume-N`` never had one."""
    images, labels = _by_number(source, "volume-"), _by_number(source, "segmentation-")
    if not images:
        raise not_this_layout(source, "volume-N.nii.gz with segmentation-N.nii.gz")
    for number in sorted(set(images) ^ set(labels)):
        found, other = (images[number], "segmentation") if number in images else (labels[number], "volume")
        raise no_partner(found, other, found.parent / f"{other}-{number}.nii.gz")
    numbers = sorted(images, key=lambda number: (len(number), number))
    cases = [SourceCase(f"volume-{number}", number, "ct", "CT", images[number], labels[number]) for number in numbers]
    return Source.of(cases, VALUES)


def _by_number(source: Path, prefix: str) -> dict[str, Path]:
    paths = (path for path in sorted(source.rglob(f"{prefix}*.nii*")) if path.name.endswith(NIFTI))
    return {stem(path).removeprefix(prefix): path for path in paths}
