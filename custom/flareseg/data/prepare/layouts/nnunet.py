"""nnU-Net v2 raw (Isensee et al. 2021): ``imagesTr/CASE_0000.nii.gz``, ``labelsTr/CASE.nii.gz``, ``dataset.json``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from flareseg.config.task import Modality
from flareseg.data.prepare.layouts.dataset_json import labels_by_name, read_dataset_json
from flareseg.data.prepare.layouts.files import by_key, listed, pair_up, stem
from flareseg.data.prepare.layouts.source import (
    BadCase,
    Given,
    Source,
    SourceCase,
    no_partner,
    not_this_layout,
    told_modality,
    unreadable_source,
)

_ENDINGS = (".nii.gz", ".nii", ".png")
_CHANNELS: dict[tuple[str, ...], Modality] = {
    ("CT",): "CT",
    ("MR",): "MR",
    ("MRI",): "MR",
    ("T1",): "MR",
    ("T2",): "MR",
    ("R", "G", "B"): "RGB",
}
_FIRST = "_0000"


def read(source: Path, given: Given) -> Source:
    """List the training cases: each label with its one image file."""
    content = read_dataset_json(source)
    path = source / "dataset.json"
    if "channel_names" not in content:
        raise unreadable_source(
            path,
            'expected "channel_names" (nnU-Net v2), found none.',
            "A version 1 data set has the layout msd, or nnUNetv2_convert_old_nnUNet_dataset converts it.",
        )
    ending = content.get("file_ending")
    if ending not in _ENDINGS:
        raise unreadable_source(
            path, f"expected file_ending {', '.join(_ENDINGS)}, found {ending}.", "Convert the images to NIfTI."
        )
    modality = _modality(content["channel_names"], given, source)
    pairs, bad = _listed(content["dataset"], source) if "dataset" in content else _paired(source, ending)
    if not pairs and not bad:
        raise not_this_layout(source, f"imagesTr/CASE_0000{ending} with labelsTr/CASE{ending}")
    cases = [
        SourceCase(name, name, modality.lower(), modality, image, label)
        for name, (image, label) in sorted(pairs.items())
    ]
    return Source.of(cases, _values(content["labels"], path), bad)


def _modality(channels: Any, given: Given, source: Path) -> Modality:
    names = tuple(str(name).upper() for name in channels.values()) if isinstance(channels, dict) else ()
    if names in _CHANNELS:
        return _CHANNELS[names]
    if len(names) != 1:
        raise unreadable_source(
            source / "dataset.json",
            f"expected one channel, or R, G and B, found {channels}.",
            "Images of several channels cannot be trained on: export one.",
        )
    return told_modality(given, source)


def _paired(source: Path, ending: str) -> tuple[dict[str, tuple[Path, Path]], list[BadCase]]:
    endings = (ending,)
    found = (path for path in listed(source / "imagesTr", endings) if stem(path, endings).endswith(_FIRST))
    images = by_key(found, lambda path: stem(path, endings).removesuffix(_FIRST))
    labels = by_key(listed(source / "labelsTr", endings), lambda path: stem(path, endings))

    def expected(kind: str, name: str) -> Path:
        return source / (f"labelsTr/{name}{ending}" if kind == "label" else f"imagesTr/{name}{_FIRST}{ending}")

    return pair_up(images, labels, expected)


def _listed(entries: Mapping[str, Any], source: Path) -> tuple[dict[str, tuple[Path, Path]], list[BadCase]]:
    """Cases of the key ``dataset``, which names the files one by one."""
    pairs, bad = {}, []
    for name, case in entries.items():
        try:
            (image,), label = case["images"], case["label"]
        except (TypeError, KeyError, ValueError):
            raise unreadable_source(
                source / "dataset.json", f"dataset.{name}: expected one image and a label.", "Correct the file."
            ) from None
        pair = (source / image, source / label)
        missing = next((place for place in (0, 1) if not pair[place].is_file()), None)
        if missing is None:
            pairs[name] = pair
        else:
            bad.append(BadCase(name, no_partner(pair[1 - missing], ("image", "label")[missing], pair[missing])))
    return pairs, bad


def _values(labels: dict[str, Any], path: Path) -> dict[str, tuple[int, ...]]:
    """Values of each label; a region lists several."""
    ignored = next((name for name in labels if name.strip().lower() == "ignore"), None)
    if ignored is not None:
        raise unreadable_source(
            path,
            f"labels.{ignored} ({labels[ignored]}) marks voxels that nobody annotated, and training would take them "
            "for background.",
            "Annotate these voxels, or move cases that hold them away and remove the label.",
        )
    return labels_by_name(labels, path)
