"""A small clean site to plant faults in."""

from __future__ import annotations

import json
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import yaml
from PIL import Image

from flareseg.data.faults import Kind
from tiny import TINY_TASK

SHAPE = (24, 22, 8)
AFFINE = np.diag([2.0, 2.0, 5.0, 1.0])
MEANS = {"CT": [-1000, -80, 100, 140, 40], "MR": [0, 300, 500, 700, 200]}
"""Mean of air, body, liver, spleen and lesion."""


class PlantedSite:
    """Six cases: 0 to 3 train, 4 validates, 5 tests. Value 1 is liver, 2 spleen, 3 a lesion in the liver."""

    def __init__(self, folder: Path, modality: str = "CT") -> None:
        self.folder = folder
        self.file = folder / "site.yaml"
        self.task: dict[str, Any] = deepcopy(TINY_TASK)
        self.settings: dict[str, Any] = {
            "modality": modality,
            "data": {"root": str(folder), "datalist": "datalist.json"},
            "labels": {"liver": [1, 3], "spleen": [2], "lesion": [3]},
        }
        for kind in ("images", "labels"):
            (folder / kind).mkdir(parents=True)
        self.suffix = ".png" if modality == "RGB" else ".nii.gz"
        for number in range(6):
            (self._frame if modality == "RGB" else self._volume)(number)
        if modality == "RGB":
            self.settings["labels"] = {"polyp": [255]}
            self.task = {
                **TINY_TASK,
                "labels": ["polyp"],
                "modalities": {"RGB": {"window": [0, 255]}},
                "lesion": {"label": "polyp", "small_px": 8},
                "fedgs": None,
            }
        splits = {"training": range(4), "validation": [4], "testing": [5]}
        self.datalist: Any = {name: [self.entry(number) for number in numbers] for name, numbers in splits.items()}

    def _volume(self, number: int) -> None:
        rng = np.random.default_rng(number)
        label = np.zeros(SHAPE, dtype=np.uint8)
        label[12 : 20 + number // 3, 4 : 14 + number % 3, 1:7] = 1
        label[3:8, 6:13, 1:7] = 2
        x, y = 13 + int(rng.integers(5)), 5 + number
        label[x : x + 2, y : y + 2, 3:5] = 3
        tissue = np.zeros(SHAPE, dtype=int)
        tissue[2:22, 2:20] = 1
        tissue[label > 0] = label[label > 0] + 1
        image = np.array(MEANS[self.settings["modality"]], float)[tissue] + rng.normal(0, 10, SHAPE)
        nib.save(nib.Nifti1Image(image.astype(np.int16), AFFINE), self.image(number))
        nib.save(nib.Nifti1Image(label, AFFINE), self.label(number))

    def _frame(self, number: int) -> None:
        rng = np.random.default_rng(number)
        mask = np.zeros((40, 48), dtype=np.uint8)
        mask[5 + number : 25, 10:30] = 255
        image = rng.integers(60, 200, (40, 48, 3)).astype(np.uint8)
        Image.fromarray(image).save(self.image(number))
        Image.fromarray(mask).save(self.label(number))

    def image(self, number: int) -> Path:
        return self.folder / "images" / f"case-{number}{self.suffix}"

    def label(self, number: int) -> Path:
        return self.folder / "labels" / f"case-{number}{self.suffix}"

    def entry(self, number: int) -> dict[str, str]:
        return {"image": f"images/case-{number}{self.suffix}", "label": f"labels/case-{number}{self.suffix}"}

    def use_patterns(self) -> None:
        self.settings["data"] = {
            "root": str(self.folder),
            "images": f"images/*{self.suffix}",
            "labels": f"labels/*{self.suffix}",
        }

    def save(self) -> None:
        """Write site.yaml, task.yaml and the datalist as they are set now."""
        self.file.write_text(yaml.safe_dump(self.settings))
        (self.folder / "task.yaml").write_text(yaml.safe_dump(self.task))
        (self.folder / "datalist.json").write_text(json.dumps(self.datalist))


def change(
    path: Path,
    voxels: Callable[[np.ndarray], np.ndarray] = lambda array: array,
    affine: np.ndarray | None = None,
    header: Callable[[nib.Nifti1Header], object] = lambda header: None,
) -> None:
    """Write a NIfTI file again with other voxels, affine or header."""
    old = nib.load(path)
    image = nib.Nifti1Image(voxels(np.asarray(old.dataobj)), old.affine if affine is None else affine)
    header(image.header)
    nib.save(image, path)


@dataclass(frozen=True)
class Fault:
    """A planted fault, and what the check has to say of it.

    Attributes:
        kind: its kind.
        level: error or warning.
        plant: puts it into a clean site.
        words: part of the message.
        case: the case it is found in; None where it concerns the site.
        quick: whether the check at job start finds it too.
        modality: of the site.
        also: kinds that come with it.
        count: how often it is found.
        forbidden: found only by a user who is not root.
    """

    kind: Kind
    level: str
    plant: Callable[[PlantedSite], object]
    words: str
    case: int | None
    quick: bool
    modality: str
    also: tuple[Kind, ...]
    count: int
    forbidden: bool


FAULTS: list[Fault] = []


def fault(
    kind: Kind,
    level: str,
    words: str,
    *,
    case: int | None = 1,
    quick: bool = False,
    modality: str = "CT",
    also: tuple[Kind, ...] = (),
    count: int = 1,
    forbidden: bool = False,
) -> Callable[[Callable[[PlantedSite], object]], Callable[[PlantedSite], object]]:
    """Register a writer of a fault."""

    def register(plant: Callable[[PlantedSite], object]) -> Callable[[PlantedSite], object]:
        FAULTS.append(Fault(kind, level, plant, words, case, quick, modality, also, count, forbidden))
        return plant

    return register
