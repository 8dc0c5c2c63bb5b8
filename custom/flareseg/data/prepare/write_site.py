"""A site's prepared data on disk: a MONAI datalist with patients, and a site.yaml that fits it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flareseg.config.settings import read_yaml
from flareseg.config.site import SITE_FILE, load_site
from flareseg.config.task import Modality
from flareseg.config.yaml_core import dump_yaml
from flareseg.data.case import SPLITS, SplitName
from flareseg.data.datalist import load_cases
from flareseg.data.prepare.label_map import Meaning, left_over, named
from flareseg.data.prepare.progress_file import Made
from flareseg.errors import DataError, ErrorCode
from flareseg.files import json_bytes, write_whole

DATALIST = "datalist.json"
_WHERE = ("root", "datalist", "label_root", "images", "labels", "split")
"""Keys of ``data`` in site.yaml that say where images and labels are."""


@dataclass(frozen=True)
class PreparedCase:
    """A case ready to be listed: one image file, one label file on its grid, and the size of its largest lesion."""

    name: str
    patient: str
    site: str
    modality: Modality
    image: Path
    label: Path
    lesion: float = 0.0


@dataclass(frozen=True)
class PreparedSite:
    """What was written for a site.

    Attributes:
        site_file: its site.yaml.
        modality: of all its images.
        labels: what stands for each label, as text; None where it was not annotated.
        background: the organs of the data that stand for no label, as text.
        cases: number of cases of each split.
        patients: number of patients of each split.
        notes: what the user should know.
    """

    site_file: Path
    modality: Modality
    labels: Mapping[str, str | None]
    background: str
    cases: Mapping[SplitName, int]
    patients: Mapping[SplitName, int]
    notes: tuple[str, ...]


def write_site(
    folder: Path,
    source: Path,
    splits: Mapping[SplitName, Sequence[PreparedCase]],
    meaning: Meaning,
    window: tuple[float, float] | None,
    made: Made,
) -> PreparedSite:
    """Write datalist and site.yaml.

    What an earlier site.yaml says of data, labels and modality is replaced, and so is a scale that an earlier
    ``--window`` gave; all else stays as the operator set it.

    Args:
        folder: the site's folder.
        source: root of what was not converted.
        splits: the cases.
        meaning: the values of each label.
        window: HU at 0 and at 255 of 8-bit CT images.
        made: knows what an earlier run wrote.

    Raises:
        DataError: an image or label lies neither in the source nor in the folder, as behind a link.
    """
    cases = [case for split in SPLITS for case in splits[split]]
    root, label_root = (_root(folder, source, [getattr(case, kind) for case in cases]) for kind in ("image", "label"))
    entries = {
        split: [
            {
                "image": case.image.relative_to(root).as_posix(),
                "label": case.label.relative_to(label_root).as_posix(),
                "patient": case.patient,
            }
            for case in splits[split]
        ]
        for split in SPLITS
    }
    write_whole(folder / DATALIST, json_bytes(entries))
    data: dict[str, Any] = {"root": str(root), "datalist": str(folder / DATALIST)}
    if label_root != root:
        data["label_root"] = str(label_root)
    site_file = folder / SITE_FILE
    before = read_yaml(site_file) if site_file.exists() else {}
    kept = {key: value for key, value in before.items() if key not in ("modality", "data", "labels")}
    if "intensity" in kept and kept["intensity"] == made.get(f"window {folder.name}", ""):
        del kept["intensity"]
        made.forget(f"window {folder.name}")
    previous = before.get("data")
    data |= {key: value for key, value in (previous if isinstance(previous, dict) else {}).items() if key not in _WHERE}
    scaled = window is not None and cases[0].modality == "CT"
    content = {
        "modality": cases[0].modality,
        "data": data,
        "labels": {name: None if values is None else list(values) for name, values in meaning.labels.items()},
        **kept,
    }
    if window is not None and scaled:
        content["intensity"] = {"slope": (window[1] - window[0]) / 255, "intercept": window[0]}
        made.put(f"window {folder.name}", "", content["intensity"])
    write_whole(site_file, dump_yaml(content).encode())
    load_cases(load_site(site_file).data)
    stays = sorted(
        {*kept} - ({"intensity"} if scaled else set()) | {f"data.{key}" for key in data if key not in _WHERE}
    )
    return PreparedSite(
        site_file,
        cases[0].modality,
        {name: None if values is None else named(values, meaning.organs) for name, values in meaning.labels.items()},
        ", ".join(named(values, meaning.organs) for values in left_over(meaning.labels, meaning.organs).values()),
        {split: len(splits[split]) for split in SPLITS},
        {split: len({case.patient for case in splits[split]}) for split in SPLITS},
        (f"kept from the earlier site.yaml: {', '.join(stays)}.",) if stays else (),
    )


def _root(folder: Path, source: Path, files: Sequence[Path]) -> Path:
    converted = [path.is_relative_to(folder) for path in files]
    if any(converted) and not all(converted):
        raise DataError(
            f"{source}: holds DICOM series and NIfTI files side by side.",
            "Prepare one subfolder at a time.",
            code=ErrorCode.NO_DATA,
        )
    return folder if all(converted) else source
