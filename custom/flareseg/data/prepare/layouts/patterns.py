"""Any folder of image and label files that pair by name: two glob patterns, paired by what their wildcards match."""

from __future__ import annotations

from pathlib import Path

from flareseg.data.exclusion import Exclusion
from flareseg.data.pairing import pair_files
from flareseg.data.prepare.layouts.source import Given, Source, SourceCase, told_modality, unreadable_source


def read(source: Path, given: Given) -> Source:
    """List the pairs; which label value means what must be said with ``--map``."""
    if given.images is None or given.labels is None:
        raise unreadable_source(
            source,
            "the layout patterns needs to know where the files are.",
            "Add --images and --labels, such as --images 'img/*.nii.gz' --labels 'seg/*.nii.gz'.",
        )
    modality = told_modality(given, source)
    pairs, faults = pair_files(source, {"": given.images}, given.labels, Exclusion())
    for fault in faults:
        raise fault.error()
    cases = []
    for pair in pairs:
        name = pair.name.replace("|", "-").replace("/", "-")
        cases.append(SourceCase(name, name, modality.lower(), modality, pair.image, pair.label))
    return Source.of(cases, {})
