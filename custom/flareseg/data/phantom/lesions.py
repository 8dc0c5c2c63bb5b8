"""Liver lesions: how many, how large, where."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from flareseg.data.phantom.canvas import Tissue
from flareseg.data.phantom.grid import PhantomGrid

GAP_MM = 7.5  # wider than a voxel's diagonal: lesions stay apart as connected components


@dataclass(frozen=True)
class LesionPlan:
    """How many lesions each patient of a site has, and how large.

    Attributes:
        count: fewest and most of a patient.
        diameter: smallest and largest in mm; log-uniform between them, with the exponent bent towards the small end.
    """

    count: tuple[int, int] = (5, 12)
    diameter: tuple[float, float] = (6.0, 40.0)

    def draw(self, rng: np.random.Generator) -> list[float]:
        """Draw the diameters in mm of one patient's lesions, largest first."""
        (fewest, most), (smallest, largest) = self.count, self.diameter
        exponent = rng.random(int(rng.integers(fewest, most + 1))) ** 1.2
        return sorted((smallest * (largest / smallest) ** exponent).tolist(), reverse=True)


ALL_SIZES = LesionPlan()


@dataclass(frozen=True)
class Lesion:
    """One lesion as drawn: centre in mm relative to the middle of the volume, diameter in mm."""

    centre: tuple[float, float, float]
    diameter: float


def add_lesions(
    tissue: NDArray[np.uint8], grid: PhantomGrid, rng: np.random.Generator, plan: LesionPlan
) -> list[Lesion]:
    """Paint lesions into the liver of a tissue map, in place.

    A lesion lies wholly in the liver and apart from all others. One too large for the liver at hand is made smaller
    until it fits; one below the size of a voxel still gets the voxel at its centre.

    Args:
        tissue: (x, y, z) tissue map, changed in place.
        grid: its voxels.
        rng: source of number, size, place and shape.
        plan: bounds of number and size.

    Returns:
        The lesions painted.
    """
    diameters = plan.draw(rng)
    liver = np.isin(tissue, (Tissue.LIVER, Tissue.HEPATIC_VESSEL))
    if not diameters or not liver.any():
        return []
    box = ndimage.find_objects(liver.astype(np.uint8))[0]
    view, spacing = tissue[box], np.asarray(grid.spacing, dtype=np.float32)
    room = ndimage.distance_transform_edt(np.pad(liver[box], 1), sampling=grid.spacing).astype(np.float32)
    room = room[1:-1, 1:-1, 1:-1]
    places = [(np.arange(n) * step).astype(np.float32) for n, step in zip(view.shape, spacing, strict=True)]
    corner = np.array([s.start for s in box]) * spacing - grid.extent
    lesions: list[Lesion] = []
    for wanted in diameters:
        diameter = min(wanted, 2 * float(room.max()) / 1.15)
        if diameter < plan.diameter[0]:
            break
        # Voxel centres as lesion centres: even the smallest is seen.
        fits = np.flatnonzero(room >= 0.575 * diameter)
        index = np.unravel_index(int(fits[rng.integers(len(fits))]), view.shape)
        centre = [float(place[i]) for place, i in zip(places, index, strict=True)]
        stretch = np.exp(rng.uniform(-0.12, 0.12, 3))
        stretch /= np.cbrt(np.prod(stretch))  # keeps the volume
        offsets = np.ix_(*[place - c for place, c in zip(places, centre, strict=True)])
        distance = np.sqrt(sum((o / np.float32(s)) ** 2 for o, s in zip(offsets, stretch, strict=True)))
        inside = (distance < diameter / 2) & liver[box]
        inside[index] = True
        view[inside] = Tissue.LESION
        apart = np.sqrt(sum(o**2 for o in offsets)) - np.float32(0.575 * diameter + GAP_MM)
        room = np.minimum(room, apart)
        x, y, z = corner + centre
        lesions.append(Lesion((float(x), float(y), float(z)), diameter))
    return lesions
