"""A small task and small sites: what most tests run on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import yaml

TINY_TASK: dict[str, Any] = {
    "name": "tiny",
    "labels": ["liver", "spleen", "lesion"],
    "modalities": {"CT": {"window": [-160, 240]}, "MR": {"percentiles": [0.5, 99.5]}},
    "patch": [16, 16],
    "lesion": {"label": "lesion", "small_mm": 8},
    "network": {"channels": [4, 8]},
    "training": {"rounds": 2, "steps": 3, "batch_size": 2},
    "augmentation": [{"name": "gin"}],
    "fedgs": {"targets": {"lesion": {"log_base": 100, "threshold": 10}}},
}
"""A small valid task.yaml: 2D, two labels and a lesion, two network levels."""


def write_tiny_site(folder: Path, *, modality: str = "CT", cases: int = 6, seed: int = 0) -> Path:
    """Write a site of small volumes (20 x 18 x 5 voxels of 2 x 2 x 5 mm) and give its site.yaml."""
    rng = np.random.default_rng(seed)
    affine = np.diag([2.0, 2.0, 5.0, 1.0])
    for kind in ("images", "labels"):
        (folder / kind).mkdir(parents=True, exist_ok=True)
    for index in range(cases):
        label = np.zeros((20, 18, 5), dtype=np.uint8)
        label[3:11, 4:12, 1:4] = 1
        label[13:17, 6:11, 1:4] = 2
        x, y = 4 + int(rng.integers(4)), 5 + int(rng.integers(4))
        label[x : x + 2, y : y + 2, 2] = 3
        means = np.array([-80.0, 100.0, 140.0, 40.0])
        image = means[label] + rng.normal(0, 10, label.shape)
        nib.save(nib.Nifti1Image(image.astype(np.int16), affine), folder / "images" / f"case-{index}.nii.gz")
        nib.save(nib.Nifti1Image(label, affine), folder / "labels" / f"case-{index}.nii.gz")
    site = folder / "site.yaml"
    site.write_text(
        yaml.safe_dump(
            {
                "modality": modality,
                "data": {"root": str(folder), "images": "images/*.nii.gz", "labels": "labels/*.nii.gz"},
                "labels": {"liver": [1, 3], "spleen": 2, "lesion": 3},
            }
        )
    )
    return site
