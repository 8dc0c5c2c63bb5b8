"""AMOS22 (Ji et al. 2022): imagesTr/labelsTr and imagesVa/labelsVa; ids up to 500 are CT, above MR."""

from __future__ import annotations

import re
from pathlib import Path

from flareseg.config.task import Modality
from flareseg.data.prepare.layouts.dataset_json import labels_by_value, read_dataset_json
from flareseg.data.prepare.layouts.files import by_key, listed, pair_up, stem
from flareseg.data.prepare.layouts.source import BadCase, Given, Source, SourceCase, not_this_layout, unreadable_source
from flareseg.errors import DataError

LAST_CT = 500
NOT_IN_MR = ("bladder", "prostate/uterus")
"""Organs that were annotated in CT only."""


def read(source: Path, given: Given) -> Source:
    """List the cases of imagesTr and imagesVa; imagesTs have no labels."""
    content = read_dataset_json(source)
    cases: list[SourceCase] = []
    bad: list[BadCase] = []
    for part in ("Tr", "Va"):
        folders = {"image": source / f"images{part}", "label": source / f"labels{part}"}
        if part == "Va" and not folders["label"].is_dir():  # its labels came in a later release
            continue
        images, labels = (by_key(listed(folder), stem) for folder in folders.values())

        def expected(kind: str, name: str, at: dict[str, Path] = folders) -> Path:
            return at[kind] / f"{name}.nii.gz"

        pairs, unpaired = pair_up(images, labels, expected)
        bad += unpaired
        for name, (image, label) in pairs.items():
            modality = _modality(name)
            if modality is None:
                bad.append(BadCase(name, _misnamed(image)))
            else:
                cases.append(SourceCase(name, name, modality.lower(), modality, image, label))
    if not cases and not bad:
        raise not_this_layout(source, "imagesTr/amos_NNNN.nii.gz with labelsTr/amos_NNNN.nii.gz")
    organs = labels_by_value(content, source / "dataset.json")
    in_mr = {name: values for name, values in organs.items() if name not in NOT_IN_MR}
    return Source(tuple(cases), {"ct": organs, "mr": in_mr}, tuple(bad))


def _modality(name: str) -> Modality | None:
    number = re.fullmatch(r"amos_([0-9]+)", name)
    return None if number is None else "CT" if int(number[1]) <= LAST_CT else "MR"


def _misnamed(image: Path) -> DataError:
    return unreadable_source(image, "expected a name as amos_0001.nii.gz.", "The layout msd or patterns may fit.")
