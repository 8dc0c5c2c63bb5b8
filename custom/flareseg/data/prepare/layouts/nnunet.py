"""nnU-Net v2 raw (Isensee et al. 2021): ``imagesTr/CASE_0000.nii.gz``, ``labelsTr/CASE.nii.gz``, ``dataset.json``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from flareseg.config.task import Modality
from flareseg.data.prepare.layouts.source import (
    Given,
    Source,
    SourceCase,
    no_partner,
    not_this_layout,
    read_dataset_json,
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
    files = _listed(content, source) if "dataset" in content else _paired(source, ending)
    if not files:
        raise not_this_layout(source, f"imagesTr/CASE_0000{ending} with labelsTr/CASE{ending}")
    cases = [
        SourceCase(name, name, modality.lower(), modality, image, label)
        for name, (image, label) in sorted(files.items())
    ]
    return Source.of(cases, _values(content["labels"], path))


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


def _paired(source: Path, ending: str) -> dict[str, tuple[Path, Path]]:
    images = {
        path.name.removesuffix(f"_0000{ending}"): path for path in (source / "imagesTr").glob(f"[!.]*_0000{ending}")
    }
    labels = {path.name.removesuffix(ending): path for path in (source / "labelsTr").glob(f"[!.]*{ending}")}
    for name in sorted(set(images) ^ set(labels)):
        if name in images:
            raise no_partner(images[name], "label", source / "labelsTr" / f"{name}{ending}")
        raise no_partner(labels[name], "image", source / "imagesTr" / f"{name}_0000{ending}")
    return {name: (image, labels[name]) for name, image in images.items()}


def _listed(content: dict[str, Any], source: Path) -> dict[str, tuple[Path, Path]]:
    """Cases of the key ``dataset``, which names the files one by one."""
    files = {}
    for name, case in content["dataset"].items():
        try:
            (image,), label = case["images"], case["label"]
        except (TypeError, KeyError, ValueError):
            raise unreadable_source(
                source / "dataset.json", f"dataset.{name}: expected one image and a label.", "Correct the file."
            ) from None
        files[name] = (source / image, source / label)
        for one, other, kind in ((source / image, source / label, "image"), (source / label, source / image, "label")):
            if not one.is_file():
                raise no_partner(other, kind, one)
    return files


def _values(labels: dict[str, Any], path: Path) -> dict[str, tuple[int, ...]]:
    """Values of each label; a region lists several."""
    if "ignore" in labels:
        raise unreadable_source(
            path,
            f"labels.ignore ({labels['ignore']}) marks voxels that nobody annotated, and training would take them "
            "for background.",
            "Annotate these voxels, or move cases that hold them away and remove the label.",
        )
    values = {}
    for name, value in labels.items():
        listed = tuple(value) if isinstance(value, list) else (value,)
        if not all(isinstance(item, int) for item in listed):
            raise unreadable_source(
                path, f"labels.{name}: expected a number or a list of numbers, found {value!r}.", "Correct the file."
            )
        if name != "background":
            values[name] = listed
    return values
