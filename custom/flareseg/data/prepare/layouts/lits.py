"""LiTS (Bilic et al. 2023): ``volume-N.nii`` with ``segmentation-N.nii``, liver 1 and tumour 2, in any subfolder."""

from __future__ import annotations

from pathlib import Path

from flareseg.data.prepare.layouts.files import below, by_key, pair_up, stem
from flareseg.data.prepare.layouts.source import Given, Source, SourceCase, not_this_layout

VALUES = {"liver": (1,), "tumour": (2,)}


def read(source: Path, given: Given) -> Source:
    """List the volumes that have a segmentation; ``test-volume-N`` never had one."""
    images, labels = (_by_number(source, prefix) for prefix in ("volume-", "segmentation-"))
    if not images:
        raise not_this_layout(source, "volume-N.nii.gz with segmentation-N.nii.gz")

    def expected(kind: str, number: str) -> Path:
        found = (images if kind == "label" else labels)[number][0]
        return found.with_name(f"{'segmentation' if kind == 'label' else 'volume'}-{number}.nii.gz")

    pairs, bad = pair_up(images, labels, expected, "volume-", ("volume", "segmentation"))
    numbers = sorted(pairs, key=lambda number: (len(number), number))
    cases = [SourceCase(f"volume-{number}", number, "ct", "CT", *pairs[number]) for number in numbers]
    return Source.of(cases, VALUES, bad)


def _by_number(source: Path, prefix: str) -> dict[str, list[Path]]:
    paths = (path for path in below(source) if path.name.lower().startswith(prefix))
    return by_key(paths, lambda path: stem(path)[len(prefix) :])
