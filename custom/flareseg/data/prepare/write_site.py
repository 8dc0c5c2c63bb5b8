"""A site's prepared data on disk: a MONAI datalist with patients, and a site.yaml that fits it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np

from flareseg.config.settings import read_yaml
from flareseg.config.site import SITE_FILE, load_site
from flareseg.config.task import Modality
from flareseg.config.yaml_core import dump_yaml
from flareseg.data.datalist import SPLITS, SplitName, load_cases
from flareseg.data.prepare.label_map import LabelMap
from flareseg.errors import DataError, ErrorCode
from flareseg.files import json_bytes, write_whole

DATALIST = "datalist.json"


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
        labels: the values of each label; None where it was not annotated.
        cases: number of cases of each split.
        patients: number of patients of each split.
        window_missing: whether the images are CT of 8 bits, which cannot be HU, and nobody said what they hold.
    """

    site_file: Path
    modality: Modality
    labels: LabelMap
    cases: Mapping[SplitName, int]
    patients: Mapping[SplitName, int]
    window_missing: bool


def write_site(
    folder: Path,
    source: Path,
    splits: Mapping[SplitName, Sequence[PreparedCase]],
    labels: LabelMap,
    window: tuple[float, float] | None,
) -> PreparedSite:
    """Write datalist and site.yaml; settings of an earlier site.yaml that say nothing of the data stay.

    Args:
        folder: the site's folder.
        source: root of what was not converted.
        splits: the cases.
        labels: the values of each label.
        window: HU at 0 and at 255 of 8-bit CT images.

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
    content = read_yaml(site_file) if site_file.exists() else {}
    content |= {
        "modality": cases[0].modality,
        "data": data,
        "labels": {name: None if values is None else list(values) for name, values in labels.items()},
    }
    eight_bits = cases[0].modality == "CT" and nib.load(cases[0].image).get_data_dtype() == np.uint8
    if window is not None and cases[0].modality == "CT":
        content["intensity"] = {"slope": (window[1] - window[0]) / 255, "intercept": window[0]}
    write_whole(site_file, dump_yaml(content).encode())
    load_cases(load_site(site_file).data)
    return PreparedSite(
        site_file,
        cases[0].modality,
        labels,
        {split: len(splits[split]) for split in SPLITS},
        {split: len({case.patient for case in splits[split]}) for split in SPLITS},
        eight_bits and "intensity" not in content,
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
