"""AMOS22 (Ji et al. 2022): imagesTr/labelsTr and imagesVa/labelsVa; ids up to 500 are CT, above MR."""

from __future__ import annotations

import re
from pathlib import Path

from flareseg.config.task import Modality
from flareseg.data.prepare.layouts.source import (
    Given,
    Source,
    SourceCase,
    labels_by_value,
    no_partner,
    not_this_layout,
    read_dataset_json,
    stem,
    unreadable_source,
    volumes,
)

LAST_CT = 500
NOT_IN_MR = ("bladder", "prostate/uterus")
"""Organs that were annotated in CT only."""


def read(source: Path, given: Given) -> Source:
    """List the cases of imagesTr and imagesVa; imagesTs have no labels."""
    content = read_dataset_json(source)
    cases = []
    for part in ("Tr", "Va"):
        images, labels = source / f"images{part}", source / f"labels{part}"
        if part == "Va" and not labels.is_dir():  # its labels came in a later release
            continue
        for label in volumes(labels):
            if not (images / label.name).is_file():
                raise no_partner(label, "image", images / label.name)
        for image in volumes(images):
            if not (labels / image.name).is_file():
                raise no_partner(image, "label", labels / image.name)
            modality = _modality(image)
            cases.append(SourceCase(stem(image), stem(image), modality.lower(), modality, image, labels / image.name))
    if not cases:
        raise not_this_layout(source, "imagesTr/amos_NNNN.nii.gz with labelsTr/amos_NNNN.nii.gz")
    organs = labels_by_value(content, source / "dataset.json")
    in_mr = {name: values for name, values in organs.items() if name not in NOT_IN_MR}
    return Source(tuple(cases), {"ct": organs, "mr": in_mr})


def _modality(image: Path) -> Modality:
    number = re.fullmatch(r"amos_(\d+)", stem(image))
    if number is None:
        raise unreadable_source(image, "expected a name as amos_0001.nii.gz.", "The layout msd or patterns may fit.")
    return "CT" if int(number[1]) <= LAST_CT else "MR"
