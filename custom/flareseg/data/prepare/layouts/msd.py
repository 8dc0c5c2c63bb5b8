"""Medical Segmentation Decathlon (Antonelli et al. 2022): ``dataset.json`` names images, labels and modality."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from flareseg.config.task import Modality
from flareseg.data.prepare.layouts.source import (
    Given,
    Source,
    SourceCase,
    labels_by_value,
    no_partner,
    read_dataset_json,
    stem,
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
    for image, label in files:
        for one, other, name in ((image, label, "image"), (label, image, "label")):
            if not one.is_file():
                raise no_partner(other, name, one)
    cases = [SourceCase(stem(image), stem(image), modality.lower(), modality, image, label) for image, label in files]
    return Source.of(cases, labels_by_value(content, path))


def _modality(content: dict[str, Any], given: Given, source: Path) -> Modality:
    names = content.get("modality")
    if not isinstance(names, dict) or len(names) != 1:
        raise unreadable_source(
            source / "dataset.json",
            f"expected one modality, found {names}.",
            "Images of several channels (such as Task01 and Task05) cannot be trained on: export one channel.",
        )
    return MODALITIES.get(str(next(iter(names.values()))).upper()) or told_modality(given, source)
