"""One case of the phantom: image, labels and affine from (seed, site, index)."""

from __future__ import annotations

import hashlib
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from flareseg.data.phantom.anatomy import draw_anatomy
from flareseg.data.phantom.appearance import MRContrast, render_ct, render_mr
from flareseg.data.phantom.canvas import Canvas, Tissue
from flareseg.data.phantom.grid import PhantomGrid
from flareseg.data.phantom.lesions import ALL_SIZES, LesionPlan, add_lesions

PHANTOM_VERSION = 3
"""Raised by one whenever a case's voxels change: results are compared only on the same version."""

PhantomModality = Literal["CT", "MR"]

LIVER, SPLEEN, LEFT_KIDNEY, RIGHT_KIDNEY, LESION = 1, 2, 3, 4, 5
LABELS: dict[str, int | list[int]] = {
    "liver": [LIVER, LESION],
    "spleen": SPLEEN,
    "kidneys": [LEFT_KIDNEY, RIGHT_KIDNEY],
    "lesion": LESION,
}
"""From the task's label names to the values in the files."""

_GRIDS: dict[str, tuple[tuple[int, int, int], tuple[float, float]]] = {
    "CT": ((144, 112, 32), (2.5, 4.0)),
    "MR": ((144, 112, 26), (2.5, 5.0)),
}
_LABEL_OF = {
    Tissue.LIVER: LIVER,
    Tissue.HEPATIC_VESSEL: LIVER,
    Tissue.LESION: LESION,
    Tissue.SPLEEN: SPLEEN,
    Tissue.KIDNEY_CORTEX: LEFT_KIDNEY,
    Tissue.KIDNEY_MEDULLA: LEFT_KIDNEY,
}


def case_rng(seed: int, site: str, index: int) -> np.random.Generator:
    """Make a case's own random generator.

    It depends on nothing else: not on other sites, other cases, the process, or Python's hash of strings.

    Args:
        seed: seed of the whole data set, not negative.
        site: the site's name.
        index: the case's number at its site, not negative.
    """
    name = int.from_bytes(hashlib.sha256(site.encode()).digest()[:8], "little")
    return np.random.default_rng(np.random.SeedSequence([seed, name, index]))


def make_case(
    seed: int,
    site: str,
    index: int,
    modality: PhantomModality,
    contrast: MRContrast = "t2",
    lesions: LesionPlan = ALL_SIZES,
) -> tuple[NDArray[np.int16], NDArray[np.uint8], NDArray[np.float64]]:
    """Make one case. The same arguments give the same arrays.

    Args:
        seed: seed of the whole data set, not negative.
        site: the site's name.
        index: the case's number at its site, not negative.
        modality: "CT" or "MR".
        contrast: of an MR: the same patient on the same grid, weighted by T2 or by T1.
        lesions: how many the patient has, and how large.

    Returns:
        The image (x, y, z), in HU for CT and in arbitrary units from 0 for MR; the labels (x, y, z) with
        1 liver, 2 spleen, 3 left kidney, 4 right kidney, 5 lesion; and the (4, 4) affine to RAS+ mm.

    Raises:
        ValueError: if the modality is unknown.
    """
    if modality not in _GRIDS:
        raise ValueError(f"modality should be one of {sorted(_GRIDS)}, got {modality!r}.")
    # Streams of their own: a change to the scanner's draws leaves the patients as they were.
    body, lesion, scan, second_scan = case_rng(seed, site, index).spawn(4)
    grid = _draw_grid(modality, scan)
    canvas = draw_anatomy(grid, body)
    add_lesions(canvas.tissue, grid, lesion, lesions)
    if modality == "CT":
        image = render_ct(canvas.tissue, grid, scan)
    else:
        # By turns, not by chance: with few training volumes a draw would decide the whole comparison.
        suppressed, scan = index % 2 == 0, scan if contrast == "t2" else second_scan
        image = render_mr(canvas.tissue, grid, scan, fat_suppressed=suppressed, contrast=contrast)
    return image, _labels(canvas), grid.affine


def _draw_grid(modality: PhantomModality, rng: np.random.Generator) -> PhantomGrid:
    shape, (in_plane, through) = _GRIDS[modality]
    in_plane = round(in_plane * rng.uniform(0.97, 1.04), 3)
    through = round(through * rng.uniform(0.96, 1.04), 3)
    x, y, z = (round(float(c), 1) for c in rng.uniform(-30, 30, 3))
    return PhantomGrid(shape, (in_plane, in_plane, through), (x, y, z))


def _labels(canvas: Canvas) -> NDArray[np.uint8]:
    table = np.zeros(len(Tissue), dtype=np.uint8)
    for tissue, value in _LABEL_OF.items():
        table[tissue] = value
    labels: NDArray[np.uint8] = table[canvas.tissue]
    labels[(labels == LEFT_KIDNEY) & (canvas.coordinates[0] > 0)] = RIGHT_KIDNEY
    return labels
