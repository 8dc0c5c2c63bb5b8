"""Medical Segmentation Decathlon (Antonelli et al. 2022): ``dataset.json`` names images, labels and modality."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from flareseg.config.task import Modality
from flareseg.data.prepare.layouts.dataset_json import labels_by_value, read_dataset_json
from flareseg.data.prepare.layouts.files import stem
from flareseg.data.prepare.layouts.source import (
    BadCase,
    Given,
    Source,
    SourceCase,
    no_partner,
    there_twice,
    told_modality,
    unreadable_source,
)

MODALITIES: dict[str, Modality] = {"CT": "CT", "MRI": "MR", "MR": "MR"}


def read(source: Path, given: Given) -> Source:
    """List the training cases of ``dataset.json``; imagesTs have no labels."""
    content = read_dataset_json(source)
    path = source / "dataset.json"
    modality = _modality(content, given, source)
    pairs = content.get("training")
    if not isinstance(pairs, list) or not pairs:
        raise unreadable_source(path, 'expected "training" as a list of cases.', "The layout nnunet may fit.")
    try:
        files = [(source / pair["image"], source / pair["label"]) for pair in pairs]
    except (TypeError, KeyError):
        raise unreadable_source(
            path, 'expected training cases as {"image": ..., "label": ...}.', "Download it again."
        ) from None
    cases: dict[str, SourceCase] = {}
    bad: list[BadCase] = []
    for image, label in files:
        name = stem(image)
        if name in cases:
            bad.append(BadCase(name, there_twice(name, [cases.pop(name).place, image])))
        elif not image.is_file():
            bad.append(BadCase(name, no_partner(label, "image", image)))
        elif not label.is_file():
            bad.append(BadCase(name, no_partner(image, "label", label)))
        else:
            cases[name] = SourceCase(name, name, modality.lower(), modality, image, label)
    return Source.of(list(cases.values()), labels_by_value(content, path), bad)


def _modality(content: dict[str, Any], given: Given, source: Path) -> Modality:
    names = content.get("modality")
    if not isinstance(names, dict) or len(names) != 1:
        raise unreadable_source(
            source / "dataset.json",
            f"expected one modality, found {names}.",
            "Images of several channels (such as Task01 and Task05) cannot be trained on: export one channel.",
        )
    return MODALITIES.get(str(next(iter(names.values()))).upper()) or told_modality(given, source)
