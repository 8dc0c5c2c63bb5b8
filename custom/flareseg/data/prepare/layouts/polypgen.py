"""PolypGen (Ali et al. 2023): colonoscopy frames of six centres, ``data_Ck/images_Ck/x.jpg``, ``masks_Ck/x_mask.png``.

Only the names of some frames of C1 and C4 begin with the number of an examination; any other frame counts as its own
patient, for nothing tells more.
"""

from __future__ import annotations

import re
from pathlib import Path

from flareseg.data.prepare.layouts.files import by_key, listed, pair_up
from flareseg.data.prepare.layouts.source import BadCase, Given, Source, SourceCase, not_this_layout

VALUES = {"polyp": (1, 255)}
"""Masks hold 0 and 255, or 0 and 1."""

_FRAMES = (".jpg", ".jpeg", ".png")
_EXAMINATION = re.compile(r"(\d+)(?:OLCV|_endocv)")


def read(source: Path, given: Given) -> Source:
    """List the frames of each centre, a site each; a mask without any polyp is valid."""
    cases: list[SourceCase] = []
    bad: list[BadCase] = []
    for folder in sorted(path for path in source.glob("data_C[1-6]") if path.is_dir()):
        centre = folder.name.removeprefix("data_")
        images = by_key(listed(folder / f"images_{centre}", _FRAMES), lambda path: path.stem)
        masks = by_key(listed(folder / f"masks_{centre}", _FRAMES), lambda path: path.stem.removesuffix("_mask"))

        def expected(kind: str, name: str, at: Path = folder, centre: str = centre) -> Path:
            return at / (f"masks_{centre}/{name}_mask.png" if kind == "label" else f"images_{centre}/{name}.jpg")

        pairs, unpaired = pair_up(images, masks, expected, f"{centre}-", ("image", "mask"))
        bad += unpaired
        for name, (image, mask) in pairs.items():
            examination = _EXAMINATION.match(name)
            patient = f"{centre}-{examination[1] if examination else name}"
            cases.append(SourceCase(f"{centre}-{name}", patient, centre.lower(), "RGB", image, mask))
    if not cases and not bad:
        raise not_this_layout(source, "data_C1/images_C1/x.jpg with data_C1/masks_C1/x_mask.png, to data_C6")
    return Source.of(cases, VALUES, bad)
