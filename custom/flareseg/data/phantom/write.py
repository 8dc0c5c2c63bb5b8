"""Phantom sites on disk: NIfTI volumes, a MONAI datalist, site.yaml, and a record of how they were made."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from flareseg.config.yaml_core import dump_yaml
from flareseg.data.phantom.appearance import MRContrast
from flareseg.data.phantom.case import LABELS, PHANTOM_VERSION, PhantomModality, make_case
from flareseg.data.phantom.lesions import ALL_SIZES, LesionPlan
from flareseg.files import json_bytes, nifti_bytes, write_whole

_RECORD = "phantom.json"
_UNFINISHED = "phantom.unfinished.json"

# Fixed ranges of case numbers: a site's test cases stay the same whatever the number of its training cases.
_FIRST_CASE = {"training": 0, "validation": 600, "testing": 800}
_LAST_CASE = 1000
_ORIGIN = f"flareseg phantom {PHANTOM_VERSION}"


@dataclass(frozen=True)
class PhantomSite:
    """A site to be made: name, modality, numbers of cases, its patients' lesions, and an MR's contrasts as channels.

    Raises:
        ValueError: if the name is no plain folder name, a number is negative or above its range of case numbers
            (600 training, 200 validation, 200 testing), or a CT is to have contrasts.
    """

    name: str
    modality: PhantomModality
    training: int
    validation: int
    testing: int
    lesions: LesionPlan = ALL_SIZES
    contrasts: tuple[MRContrast, ...] = ()

    def __post_init__(self) -> None:
        if self.name in {"", ".", ".."} or Path(self.name).name != self.name:
            raise ValueError(f"A site's name should be a plain folder name, got {self.name!r}.")
        if self.modality not in ("CT", "MR"):
            raise ValueError(f"modality of site {self.name} should be CT or MR, got {self.modality!r}.")
        if self.contrasts and self.modality != "MR":
            raise ValueError(f"contrasts of site {self.name} are for MR.")
        ends = [*list(_FIRST_CASE.values())[1:], _LAST_CASE]
        for (split, first), end in zip(_FIRST_CASE.items(), ends, strict=True):
            count = getattr(self, split)
            if not 0 <= count <= end - first:
                raise ValueError(f"{split} of site {self.name} should be in 0 to {end - first}, got {count}.")

    def cases(self) -> Iterator[tuple[str, int]]:
        """All cases as (split, index), training first."""
        for split, first in _FIRST_CASE.items():
            yield from ((split, index) for index in range(first, first + getattr(self, split)))


DEFAULT_SITES = (
    PhantomSite("ct-a", "CT", 6, 2, 4, LesionPlan(count=(8, 12), diameter=(10.0, 20.0))),
    PhantomSite("ct-b", "CT", 6, 2, 4, LesionPlan(count=(5, 9), diameter=(14.0, 40.0))),
    PhantomSite("mr-a", "MR", 4, 2, 8, LesionPlan(count=(5, 12), diameter=(10.0, 40.0))),
)
"""The demo's federation: 12 CT and 4 MR training volumes, 8 test volumes of each modality. Lesions of ct-a are small,
those of ct-b hold most of their voxels in large ones: what FedGS is for."""


def write_phantom_site(root: Path, site: PhantomSite, *, seed: int, progress: Callable[[], None] | None = None) -> Path:
    """Write a site's data, or complete what an interrupted run has left.

    The folder holds `images/` (of several contrasts a file for each) and `labels/` (NIfTI, RAS+, mm), `datalist.json`
    (MONAI, paths relative to the folder), `site.yaml`, and `phantom.json`, whose presence says that the site is
    complete. Files appear whole or not at all, are the same bytes in every run, and those already there are kept.

    Args:
        root: folder of all sites; the site's own folder is `root/site.name`.
        site: what to make.
        seed: seed of the whole data set, not negative.
        progress: called after each case, made or already there.

    Returns:
        The site's folder.

    Raises:
        ValueError: if the folder holds anything that was not made with the same settings.
    """
    folder = Path(root).resolve() / site.name
    record = {
        "version": PHANTOM_VERSION,
        "seed": seed,
        "site": site.name,
        "modality": site.modality,
        "counts": {split: getattr(site, split) for split in _FIRST_CASE},
        "lesions": {name: list(bounds) for name, bounds in asdict(site.lesions).items()},
    }
    if site.contrasts:
        record["contrasts"] = list(site.contrasts)
    _refuse_to_mix(folder, record)
    if not (folder / _RECORD).exists():
        write_whole(folder / _UNFINISHED, json_bytes(record))
    datalist: dict[str, list[dict[str, Any]]] = {split: [] for split in _FIRST_CASE}
    for split, index in site.cases():
        label, images = _names(site, index)
        datalist[split].append({"image": images if site.contrasts else images["t2"], "label": label})
        for contrast, image in images.items():
            if not all((folder / path).exists() for path in (image, label)):
                voxels, labels, affine = make_case(seed, site.name, index, site.modality, contrast, site.lesions)
                write_whole(folder / image, nifti_bytes(voxels, affine, _ORIGIN))
                write_whole(folder / label, nifti_bytes(labels, affine, _ORIGIN))
        if progress is not None:
            progress()
    data = {"root": str(folder), "datalist": "datalist.json"}
    description = {"modality": site.modality, "data": data, "labels": LABELS}
    write_whole(folder / "datalist.json", json_bytes(datalist))
    write_whole(folder / "site.yaml", dump_yaml(description).encode())
    if (folder / _UNFINISHED).exists():
        os.replace(folder / _UNFINISHED, folder / _RECORD)
    return folder


def _names(site: PhantomSite, index: int) -> tuple[str, dict[MRContrast, str]]:
    """The file of a case's label, and of its image of each contrast."""
    name = f"case-{index:03d}"
    images: dict[MRContrast, str] = {contrast: f"images/{name}-{contrast}.nii.gz" for contrast in site.contrasts}
    return f"labels/{name}.nii.gz", images or {"t2": f"images/{name}.nii.gz"}


def _refuse_to_mix(folder: Path, record: dict[str, Any]) -> None:
    if not folder.exists() or not any(folder.iterdir()):
        return
    found: object = "files without a record of how they were made"
    for name in (_RECORD, _UNFINISHED):
        if (folder / name).exists():
            try:
                found = json.loads((folder / name).read_text())
            except json.JSONDecodeError:
                found = f"a damaged {name}"
            break
    if found != record:
        raise ValueError(
            f"{folder} holds other data: found {found}, expected {record}. "
            "Remove the folder, or choose another one for the phantom."
        )
