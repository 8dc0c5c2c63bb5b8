"""The upper abdomen as tissues: body wall, spine, gut, vessels, and the organs to be segmented.

All lengths are millimetres of the standard patient (see `Canvas`): x to the patient's right, y anterior, z superior.
"""

from __future__ import annotations

import numpy as np

from flareseg.data.phantom.canvas import Array, Canvas, Point, Tissue, ellipsoid
from flareseg.data.phantom.grid import PhantomGrid

SOFT = (Tissue.FAT, Tissue.BOWEL_WALL, Tissue.FLUID, Tissue.STOOL, Tissue.GAS)


def draw_anatomy(grid: PhantomGrid, rng: np.random.Generator) -> Canvas:
    """Draw one patient without lesions.

    Args:
        grid: the volume's voxels.
        rng: source of all variation between patients.

    Returns:
        The canvas with its tissue map complete.
    """
    canvas = Canvas(grid, rng)
    _body_wall(canvas, rng)
    _spine(canvas, rng)
    _bowel(canvas, rng)
    _stomach(canvas, rng)
    _pancreas(canvas, rng)
    _liver(canvas, rng)
    _spleen(canvas, rng)
    _kidney(canvas, rng, _jitter(rng, (60, -32, -32), 3.0), side=1)
    _kidney(canvas, rng, _jitter(rng, (-60, -32, -24), 3.0), side=-1)
    _great_vessels(canvas, rng)
    _hepatic_vessels(canvas, rng)
    _lungs(canvas, rng)
    return canvas


def _jitter(rng: np.random.Generator, point: Point, sd: float) -> Point:
    x, y, z = np.asarray(point) + np.clip(rng.normal(0, sd, 3), -2 * sd, 2 * sd)
    return float(x), float(y), float(z)


def _resize(rng: np.random.Generator, radii: Point, sd: float = 0.06) -> Point:
    x, y, z = np.asarray(radii) * np.exp(np.clip(rng.normal(0, sd, 3), -2 * sd, 2 * sd))
    return float(x), float(y), float(z)


def _outline(x: Array, y: Array, half_width: float, half_depth: float) -> Array:
    """Positive inside a rounded rectangle-like cross-section."""
    across, depth = (x / np.float32(half_width)) ** 2, (y / np.float32(half_depth)) ** 2
    return np.float32(1) - across * np.sqrt(np.sqrt(across)) - depth * np.sqrt(np.sqrt(depth))


def _body_wall(canvas: Canvas, rng: np.random.Generator) -> None:
    x, y, z = canvas.coordinates
    everywhere = (slice(None),) * 3
    fat, wall = rng.uniform(6, 18), rng.uniform(9, 14)
    canvas.paint(everywhere, _outline(x, y, 130 + fat, 90 + fat) > 0, Tissue.SUBCUTANEOUS)
    canvas.paint(everywhere, _outline(x, y, 130, 90) > 0, Tissue.MUSCLE)
    ribs = (_outline(x, y, 126, 86) > 0) & (_outline(x, y, 119, 79) < 0) & (y < 55)
    period, phase = rng.uniform(26, 32), rng.uniform(0, 2 * np.pi)
    ribs &= np.cos((z + np.float32(0.45) * y) * np.float32(2 * np.pi / period) + np.float32(phase)) > 0.45
    canvas.paint(everywhere, ribs & (z > -40), Tissue.CORTEX)
    canvas.paint(everywhere, _outline(x, y, 130 - wall, 90 - wall) > 0, Tissue.FAT)
    for side in (-1, 1):
        canvas.blob((side * 33, -70, 0), (27, 17, 400), Tissue.MUSCLE, over=(Tissue.FAT,))
        canvas.blob((side * 29, -42, -50), (13, 15, 55), Tissue.MUSCLE, over=(Tissue.FAT,))


def _spine(canvas: Canvas, rng: np.random.Generator) -> None:
    box, (x, y, z) = canvas.box((-45, -105, -90), (45, -20, 90))
    at = (x, y, z)
    body = ellipsoid(at, (0, -48, 0), (22, 17, 1e4))
    canvas.paint(box, body > 0, Tissue.CORTEX)
    canvas.paint(box, ellipsoid(at, (0, -48, 0), (19, 14, 1e4)) > 0, Tissue.MARROW)
    level = np.cos(z * np.float32(2 * np.pi / 33) + np.float32(rng.uniform(0, 2 * np.pi)))
    canvas.paint(box, (body > 0) & (level > 0.82), Tissue.DISC)
    arch = ellipsoid(at, (0, -72, 0), (14, 13, 1e4)) > 0
    process = (np.abs(x) < 4) & (y > -98) & (y < -80) & (level < 0.3)
    transverse = (np.abs(x) < 36) & (np.abs(y + 68) < 4) & (level < -0.5)
    canvas.paint(box, arch | process | transverse, Tissue.CORTEX)
    canvas.paint(box, ellipsoid(at, (0, -71, 0), (9, 8, 1e4)) > 0, Tissue.SPINAL_CANAL)


def _loop(canvas: Canvas, rng: np.random.Generator, path: list[Point], radius: float, content: Tissue) -> None:
    """A piece of gut: wall, content, and sometimes gas on top (the patient lies on the back)."""
    n = len(path)
    canvas.tube(path, [radius] * n, Tissue.BOWEL_WALL, over=SOFT)
    canvas.tube(path, [radius - 3.0] * n, content, over=SOFT)
    if rng.random() < 0.3:
        shifted = [(x, y + radius * 0.45, z) for x, y, z in path]
        canvas.tube(shifted, [radius * 0.4] * n, Tissue.GAS, over=(content,))


def _bowel(canvas: Canvas, rng: np.random.Generator) -> None:
    for _ in range(int(rng.integers(8, 14))):
        start = (rng.uniform(-80, 70), rng.uniform(-5, 62), rng.uniform(-75, -12))
        step = (rng.normal(0, 22), rng.normal(0, 8), rng.normal(0, 10))
        end = (start[0] + step[0], start[1] + step[1], start[2] + step[2])
        _loop(canvas, rng, [start, end], rng.uniform(8, 13), Tissue.FLUID if rng.random() < 0.6 else Tissue.STOOL)
    right, left = _jitter(rng, (92, 5, -45), 5), _jitter(rng, (-98, -12, -15), 5)
    _loop(canvas, rng, [right, (right[0], right[1], -110)], rng.uniform(16, 21), Tissue.STOOL)
    _loop(canvas, rng, [left, (left[0] + 5, left[1], -110)], rng.uniform(12, 17), Tissue.STOOL)
    across = [right, _jitter(rng, (45, 55, -42), 6), _jitter(rng, (-40, 62, -32), 6), left]
    _loop(canvas, rng, across, rng.uniform(12, 16), Tissue.STOOL)


def _stomach(canvas: Canvas, rng: np.random.Generator) -> None:
    fundus, antrum = _jitter(rng, (-52, 8, 34), 4), _jitter(rng, (-32, 45, 0), 4)
    wide = _resize(rng, (34, 32, 36), 0.12)
    box, at = canvas.box((-115, -40, -50), (30, 90, 90))
    shape = np.maximum(ellipsoid(at, fundus, wide), ellipsoid(at, antrum, (42, 20, 22), turn=-0.35))
    canvas.paint(box, shape > 0, Tissue.BOWEL_WALL, over=SOFT)
    inside = shape > 0.24
    canvas.paint(box, inside, Tissue.FLUID if rng.random() < 0.6 else Tissue.STOOL, over=SOFT)
    canvas.paint(box, inside & (at[1] > np.float32(fundus[1] + rng.uniform(8, 45))), Tissue.GAS, over=SOFT)


def _pancreas(canvas: Canvas, rng: np.random.Generator) -> None:
    points: list[Point] = [(34, 2, -18), (8, 12, -4), (-25, 2, 4), (-66, -12, 14)]
    path = [_jitter(rng, point, 3) for point in points]
    canvas.tube(path, [13, 9, 9, 8], Tissue.PANCREAS, over=SOFT)
    _loop(canvas, rng, [_jitter(rng, (44, 6, -8), 3), (46, 4, -50)], rng.uniform(10, 13), Tissue.FLUID)


def _liver(canvas: Canvas, rng: np.random.Generator) -> None:
    box, at = canvas.box((-90, -95, -80), (130, 95, 90))
    x, y, z = at
    right = ellipsoid(at, _jitter(rng, (60, 2, 6), 3), _resize(rng, (60, 72, 70)))
    slope = np.float32(rng.uniform(0.5, 0.8))
    right = np.minimum(right, (x + slope * z - np.float32(rng.uniform(0, 10))) / 30)
    behind = np.float32(rng.uniform(0.7, 1.0)) * np.minimum(z - 15, 0)  # room for the kidney below
    right = np.minimum(right, (y + 62 + behind) / 30)
    left = ellipsoid(at, _jitter(rng, (2, 38, 26), 4), _resize(rng, (60, 30, 30), 0.12), turn=-0.15)
    both = np.float32(0.08) * np.logaddexp(right / np.float32(0.08), left / np.float32(0.08))
    shape = both + np.float32(0.05) * canvas.bumps[box]
    canvas.paint(box, shape > 0, Tissue.LIVER, over=(*SOFT, Tissue.PANCREAS))
    if rng.random() < 0.85:
        canvas.blob(
            _jitter(rng, (42, 36, -24), 4), _resize(rng, (13, 18, 20), 0.15), Tissue.BILE, (*SOFT, Tissue.LIVER)
        )


def _spleen(canvas: Canvas, rng: np.random.Generator) -> None:
    box, at = canvas.box((-130, -90, -60), (-40, 50, 100))
    centre = _jitter(rng, (-88, -28, 24), 3)
    big = float(np.exp(np.clip(rng.normal(0, 0.12), -0.25, 0.25)))
    radii = _resize(rng, (31 * big, 44 * big, 44 * big))
    shape = ellipsoid(at, centre, radii, turn=0.3) + np.float32(0.06) * canvas.bumps[box]
    hollow = ellipsoid(at, (centre[0] + 36 * big, centre[1] + 24, centre[2]), (25, 32, 60), turn=0.3)
    canvas.paint(box, (shape > 0) & (hollow < 0), Tissue.SPLEEN, over=(*SOFT, Tissue.PANCREAS))


def _kidney(canvas: Canvas, rng: np.random.Generator, centre: Point, side: int) -> None:
    radii = _resize(rng, (28, 26, 50))
    turn = 0.5 * side
    around = (*SOFT, Tissue.PANCREAS, Tissue.LIVER, Tissue.SPLEEN)
    box, at = canvas.box(np.subtract(centre, 62), np.add(centre, 62))
    shape = ellipsoid(at, centre, radii, turn)
    canvas.paint(box, shape > -0.25, Tissue.FAT, over=around)
    canvas.paint(box, shape > 0, Tissue.KIDNEY_CORTEX, over=around)
    cycles = np.cos(at[2] * np.float32(2 * np.pi / 17)) + np.cos((at[1] - at[0]) * np.float32(2 * np.pi / 19))
    canvas.paint(box, (shape > 0.4) & (cycles > -0.6), Tissue.KIDNEY_MEDULLA, over=(Tissue.KIDNEY_CORTEX,))
    hilum: Point = (centre[0] - 17 * side, centre[1] + 9, centre[2])
    canvas.blob(hilum, (15, 11, 17), Tissue.FAT, over=(Tissue.KIDNEY_CORTEX, Tissue.KIDNEY_MEDULLA))
    canvas.blob(hilum, (9, 5, 9), Tissue.RENAL_PELVIS, over=(Tissue.FAT,))


def _great_vessels(canvas: Canvas, rng: np.random.Generator) -> None:
    aorta, cava = _jitter(rng, (-9, -20, 0), 2), _jitter(rng, (22, -20, 0), 2)
    over = (*SOFT, Tissue.PANCREAS, Tissue.LIVER, Tissue.MUSCLE)
    canvas.blob(aorta, (*[float(rng.uniform(9, 12))] * 2, 1e4), Tissue.ARTERY, over)  # type: ignore[arg-type]
    canvas.blob(cava, (float(rng.uniform(11, 14)), float(rng.uniform(8, 11)), 1e4), Tissue.VEIN, over)
    for side, origin in ((1, cava), (-1, aorta)):
        path = [(origin[0], origin[1], -24.0), (side * 46.0, -24.0, -27.0)]
        canvas.tube(path, [4, 4], Tissue.VEIN, over=SOFT)


def _hepatic_vessels(canvas: Canvas, rng: np.random.Generator) -> None:
    """Portal tree from below, hepatic veins to the cava above; inside the liver both count as liver."""
    trunk: list[Point] = [(2, -4, -20), (18, 2, -2), (36, 4, 10)]
    canvas.tube(trunk, [6, 6.5, 6], Tissue.VEIN, over=(*SOFT, Tissue.PANCREAS))
    canvas.tube(trunk, [6, 6.5, 6], Tissue.HEPATIC_VESSEL, over=(Tissue.LIVER,))
    hilum, outlet = trunk[-1], (24.0, -8.0, 48.0)
    ends: list[Point] = [(92, 10, 2), (80, -35, 22), (72, 42, 18), (-15, 44, 26), (85, -5, -30)]
    for end in ends:
        tip = _jitter(rng, end, 8)
        canvas.tube([hilum, tip], [5, 1.5], Tissue.HEPATIC_VESSEL, over=(Tissue.LIVER,))
    tips: list[Point] = [(98, -8, 26), (66, 30, 34), (2, 48, 34), (75, -45, 40)]
    for end in tips:
        tip = _jitter(rng, end, 8)
        canvas.tube([outlet, tip], [5, 1.5], Tissue.HEPATIC_VESSEL, over=(Tissue.LIVER,))


def _lungs(canvas: Canvas, rng: np.random.Generator) -> None:
    """All of the cavity above the diaphragm, whose two domes cap liver, stomach and spleen."""
    x, y, z = canvas.coordinates
    height, base = rng.uniform(50, 60), rng.uniform(16, 28)
    domes = [
        np.float32(height - lower) - np.float32(height) * (((x - side * 50) / 72) ** 2 + ((y - 4) / 78) ** 2)
        for side, lower in ((1, 0), (-1, 8))
    ]
    above = (z > np.maximum(domes[0], domes[1]) + np.float32(base)) & (_outline(x, y, 126, 86) > 0)
    above &= ellipsoid((x, y, z), (0, -20, 0), (36, 36, 1e4)) < 0
    over = (*SOFT, Tissue.LIVER, Tissue.HEPATIC_VESSEL, Tissue.SPLEEN, Tissue.PANCREAS)
    canvas.paint((slice(None),) * 3, above, Tissue.LUNG, over=over)
