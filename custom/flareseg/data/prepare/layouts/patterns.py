"""Any folder of image and label files that pair by name: two glob patterns, paired by what their wildcards match."""

from __future__ import annotations

from pathlib import Path

from flareseg.data.exclusion import Exclusion
from flareseg.data.pairing import UnlistedError, pair_files
from flareseg.data.prepare.layouts.source import BadCase, Given, Source, SourceCase, told_modality, unreadable_source


def read(source: Path, given: Given) -> Source:
    """List the pairs; which label value means what must be said with ``--map``."""
    if given.images is None or given.labels is None:
        raise unreadable_source(
            source,
            "the layout patterns needs to know where the files are.",
            "Add --images and --labels, such as --images 'img/*.nii.gz' --labels 'seg/*.nii.gz'.",
        )
    modality = told_modality(given, source)
    try:
        pairs, faults = pair_files(source, {"": given.images}, given.labels, Exclusion())
    except UnlistedError as reason:
        raise reason.finding.error() from None
    cases = []
    for pair in pairs:
        name = _name(pair.name)
        cases.append(SourceCase(name, name, modality.lower(), modality, pair.image, pair.label))
    return Source.of(cases, {}, [BadCase(_name(fault.case or ""), fault.error()) for fault in faults])


def _name(key: str) -> str:
    return key.replace("|", "-").replace("/", "-")
