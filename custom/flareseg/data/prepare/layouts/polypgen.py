"""PolypGen (Ali et al. 2023): colonoscopy frames of six centres, ``data_Ck/images_Ck/x.jpg``, ``masks_Ck/x_mask.png``.

Only the names of some frames of C1 and C4 begin with the number of an examination; any other frame counts as its own
patient, for nothing tells more.
"""

from __future__ import annotations

import re
from pathlib import Path

from flareseg.data.prepare.layouts.source import Given, Source, SourceCase, no_partner, not_this_layout

VALUES = {"polyp": (1, 255)}
"""Masks hold 0 and 255, or 0 and 1."""

_FRAMES = (".jpg", ".jpeg", ".png")
_EXAMINATION = re.compile(r"(\d+)(?:OLCV|_endocv)")


def read(source: Path, given: Given) -> Source:
    """List the frames of each centre, a site each; a mask without any polyp is valid."""
    cases = []
    for folder in sorted(path for path in source.glob("data_C[1-6]") if path.is_dir()):
        centre = folder.name.removeprefix("data_")
        images, masks = (_frames(folder / f"{kind}_{centre}") for kind in ("images", "masks"))
        masks = {name.removesuffix("_mask"): path for name, path in masks.items()}
        for name in sorted(set(images) ^ set(masks)):
            found, other, there = (images, "mask", "masks") if name in images else (masks, "image", "images")
            suffix = "_mask.png" if other == "mask" else ".jpg"
            raise no_partner(found[name], other, folder / f"{there}_{centre}" / f"{name}{suffix}")
        for name, image in images.items():
            examination = _EXAMINATION.match(name)
            patient = f"{centre}-{examination[1] if examination else name}"
            cases.append(SourceCase(f"{centre}-{name}", patient, centre.lower(), "RGB", image, masks[name]))
    if not cases:
        raise not_this_layout(source, "data_C1/images_C1/x.jpg with data_C1/masks_C1/x_mask.png, to data_C6")
    return Source.of(cases, VALUES)


def _frames(folder: Path) -> dict[str, Path]:
    return {path.stem: path for path in sorted(folder.glob("[!.]*")) if path.suffix.lower() in _FRAMES}
