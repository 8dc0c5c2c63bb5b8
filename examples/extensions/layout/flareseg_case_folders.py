"""An example of a layout: one folder for each case, with image.nii.gz and label.nii.gz in it."""

from __future__ import annotations

from pathlib import Path

from flareseg.data.prepare.layouts.source import Given, Source, SourceCase, no_partner, not_this_layout, told_modality


def read(source: Path, given: Given) -> Source:
    """List the cases; the folder's name is the patient's, and label values 1, 2 are liver and lesion."""
    images = sorted(source.glob("*/image.nii.gz"))
    if not images:
        raise not_this_layout(source, "folders with image.nii.gz and label.nii.gz")
    modality = told_modality(given, source)
    cases = []
    for image in images:
        label = image.with_name("label.nii.gz")
        if not label.is_file():
            raise no_partner(image, "label", label)
        name = image.parent.name
        cases.append(SourceCase(name, name, modality.lower(), modality, image, label))
    return Source.of(cases, {"liver": (1,), "lesion": (2,)})
