"""A tissue map on which organs are painted as implicit shapes in a deformed, patient-sized frame."""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum

import numpy as np
from numpy.typing import ArrayLike, NDArray

from flareseg.data.phantom.grid import Array, PhantomGrid, smooth_field

Point = tuple[float, float, float]
Coordinates = tuple[Array, Array, Array]
Box = tuple[slice, slice, slice]
Mask = NDArray[np.bool_]


class Tissue(IntEnum):
    """What a voxel consists of; appearance gives each its HU or MR signal."""

    AIR = 0
    FAT = 1
    MUSCLE = 2
    CORTEX = 3
    MARROW = 4
    DISC = 5
    SPINAL_CANAL = 6
    ARTERY = 7
    VEIN = 8
    HEPATIC_VESSEL = 9
    BOWEL_WALL = 10
    FLUID = 11
    STOOL = 12
    GAS = 13
    LUNG = 14
    BILE = 15
    PANCREAS = 16
    LIVER = 17
    SPLEEN = 18
    KIDNEY_CORTEX = 19
    KIDNEY_MEDULLA = 20
    RENAL_PELVIS = 21
    LESION = 22
    SUBCUTANEOUS = 23


class Canvas:
    """The tissue map of one patient, and the coordinates in which anatomy is described.

    Anatomy is written in the millimetres of a standard patient, origin in the middle of the volume. Each
    patient's frame is that one scaled, shifted, and bent by a smooth displacement.

    Args:
        grid: the volume's voxels.
        rng: source of size, position and bend.
        bend_mm: standard deviation of the displacement along each axis.
    """

    def __init__(self, grid: PhantomGrid, rng: np.random.Generator, bend_mm: float = 3.5) -> None:
        self.grid = grid
        self.tissue = np.full(grid.shape, Tissue.AIR, dtype=np.uint8)
        build = float(np.clip(rng.normal(1.04, 0.05), 0.94, 1.12))
        self._scale = build * np.clip(rng.normal(1.0, 0.02, 3), 0.97, 1.03)
        self._shift = np.clip(rng.normal(0.0, [2.0, 2.0, 5.0]), [-4, -4, -10], [4, 4, 10])
        bends = [np.clip(smooth_field(grid, 55.0, rng), -2.5, 2.5) * np.float32(bend_mm) for _ in range(3)]
        self.coordinates: Coordinates = (
            self._frame(0, bends[0]),
            self._frame(1, bends[1]),
            self._frame(2, bends[2]),
        )
        self._margin = [float(np.abs(bend).max()) for bend in bends]
        self.bumps = smooth_field(grid, 22.0, rng)

    def _frame(self, axis: int, bend: Array) -> Array:
        line = (self.grid.axes()[axis] - np.float32(self._shift[axis])) / np.float32(self._scale[axis])
        return line + bend

    def box(self, low: ArrayLike, high: ArrayLike) -> tuple[Box, Coordinates]:
        """Voxels that may lie between two corners (standard mm), and their coordinates."""
        slices = []
        for axis, (start_mm, end_mm) in enumerate(np.transpose([np.asarray(low), np.asarray(high)])):
            ends = np.array([start_mm - self._margin[axis], end_mm + self._margin[axis]])
            index = (ends * self._scale[axis] + self._shift[axis] + self.grid.extent[axis]) / self.grid.spacing[axis]
            size = self.grid.shape[axis]
            start = int(np.clip(np.floor(index[0]), 0, size - 1))
            slices.append(slice(start, int(np.clip(np.ceil(index[1]) + 1, start + 1, size))))
        box: Box = (slices[0], slices[1], slices[2])
        x, y, z = self.coordinates
        return box, (x[box], y[box], z[box])

    def paint(self, box: Box, inside: Mask, tissue: Tissue, over: Sequence[Tissue] | None = None) -> None:
        """Give the voxels of a box a tissue where `inside`, only on the tissues `over` if these are named."""
        view = self.tissue[box]
        if over is not None:
            inside = inside & np.isin(view, over)
        view[inside] = tissue

    def blob(self, centre: Point, radii: Point, tissue: Tissue, over: Sequence[Tissue] | None = None) -> None:
        """Paint an ellipsoid."""
        box, at = self.box(np.subtract(centre, radii), np.add(centre, radii))
        self.paint(box, ellipsoid(at, centre, radii) > 0, tissue, over)

    def tube(
        self, path: Sequence[Point], radii: Sequence[float], tissue: Tissue, over: Sequence[Tissue] | None = None
    ) -> None:
        """Paint a tube along straight pieces, its radius linear between the points of the path."""
        for start, end, r0, r1 in zip(path, path[1:], radii, radii[1:], strict=False):
            wide = max(r0, r1)
            box, at = self.box(np.minimum(start, end) - wide, np.maximum(start, end) + wide)
            self.paint(box, _in_cone(at, start, end, r0, r1), tissue, over)


def ellipsoid(at: Coordinates, centre: Point, radii: Point, turn: float = 0.0) -> Array:
    """Implicit function of an ellipsoid: 1 at its centre, 0 on its surface, negative outside.

    Args:
        at: coordinates in mm.
        centre: centre in mm.
        radii: half axes in mm.
        turn: rotation about z in radians.
    """
    x, y, z = (np.float32(-c) + u for u, c in zip(at, centre, strict=True))
    if turn:
        cos, sin = np.float32(np.cos(turn)), np.float32(np.sin(turn))
        x, y = cos * x + sin * y, cos * y - sin * x
    x /= np.float32(radii[0])
    y /= np.float32(radii[1])
    z /= np.float32(radii[2])
    return np.float32(1) - (x * x + y * y + z * z)


def _in_cone(at: Coordinates, start: Point, end: Point, r0: float, r1: float) -> Mask:
    axis = np.subtract(end, start).astype(np.float32)
    offset = [u - np.float32(s) for u, s in zip(at, start, strict=True)]
    along = sum(o * a for o, a in zip(offset, axis, strict=True)) / np.float32(axis @ axis)
    along = np.clip(along, 0, 1)
    distance = sum((o - along * a) ** 2 for o, a in zip(offset, axis, strict=True))
    return distance < (np.float32(r0) + along * np.float32(r1 - r0)) ** 2
