"""What a scanner makes of a tissue map: CT in HU, MR from relaxation times."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from flareseg.data.phantom.canvas import Tissue
from flareseg.data.phantom.grid import Array, PhantomGrid, smooth_field

HU_RANGE = (-1024, 3071)

# HU without contrast, in the arterial, and in the portal venous phase.
_HU: dict[Tissue, tuple[float, float, float]] = {
    Tissue.AIR: (-1000, -1000, -1000),
    Tissue.FAT: (-105, -102, -100),
    Tissue.MUSCLE: (52, 58, 63),
    Tissue.CORTEX: (420, 425, 430),
    Tissue.MARROW: (170, 180, 190),
    Tissue.DISC: (75, 75, 80),
    Tissue.SPINAL_CANAL: (25, 28, 30),
    Tissue.ARTERY: (42, 290, 155),
    Tissue.VEIN: (42, 90, 150),
    Tissue.HEPATIC_VESSEL: (42, 85, 165),
    Tissue.BOWEL_WALL: (40, 75, 85),
    Tissue.FLUID: (12, 12, 14),
    Tissue.STOOL: (35, 35, 36),
    Tissue.GAS: (-850, -850, -850),
    Tissue.LUNG: (-820, -815, -810),
    Tissue.BILE: (8, 8, 10),
    Tissue.PANCREAS: (40, 105, 90),
    Tissue.LIVER: (58, 75, 112),
    Tissue.SPLEEN: (48, 125, 120),
    Tissue.KIDNEY_CORTEX: (33, 190, 180),
    Tissue.KIDNEY_MEDULLA: (31, 120, 168),
    Tissue.RENAL_PELVIS: (8, 10, 20),
    Tissue.LESION: (58, 75, 112),  # less a depth drawn for each scan
    Tissue.SUBCUTANEOUS: (-105, -102, -100),
}

# Proton density (relative), T1 and T2 in ms at 1.5 T; flowing blood is given as what spin echo leaves of it.
_RELAXATION: dict[Tissue, tuple[float, float, float]] = {
    Tissue.AIR: (0.0, 1000, 50),
    Tissue.FAT: (0.95, 340, 180),
    Tissue.MUSCLE: (0.80, 1000, 42),
    Tissue.CORTEX: (0.08, 500, 20),
    Tissue.MARROW: (0.60, 550, 75),
    Tissue.DISC: (0.75, 1100, 85),
    Tissue.SPINAL_CANAL: (0.95, 3000, 400),
    Tissue.ARTERY: (0.12, 1400, 100),
    Tissue.VEIN: (0.25, 1400, 90),
    Tissue.HEPATIC_VESSEL: (0.45, 1400, 110),
    Tissue.BOWEL_WALL: (0.75, 900, 60),
    Tissue.FLUID: (0.95, 2500, 350),
    Tissue.STOOL: (0.60, 900, 70),
    Tissue.GAS: (0.01, 1000, 50),
    Tissue.LUNG: (0.12, 1100, 45),
    Tissue.BILE: (0.95, 2000, 400),
    Tissue.PANCREAS: (0.80, 600, 55),
    Tissue.LIVER: (0.80, 590, 54),
    Tissue.SPLEEN: (0.85, 1050, 85),
    Tissue.KIDNEY_CORTEX: (0.90, 950, 98),
    Tissue.KIDNEY_MEDULLA: (0.92, 1150, 108),
    Tissue.RENAL_PELVIS: (0.95, 2500, 350),
    Tissue.LESION: (0.85, 1000, 110),
    Tissue.SUBCUTANEOUS: (0.95, 340, 180),
}

# Amplitude of the texture inside a tissue, relative to the scan's.
_TEXTURE = {Tissue.AIR: 0.0, Tissue.GAS: 0.0, Tissue.LUNG: 3.0, Tissue.STOOL: 3.0, Tissue.BOWEL_WALL: 2.0}


MRContrast = Literal["t2", "t1"]

# Of each weighting: range of the echo time and of the repetition time (ms), and of a lesion's signal by the liver's.
_WEIGHTING: dict[MRContrast, tuple[tuple[float, float], tuple[float, float], tuple[float, float]]] = {
    "t2": ((55, 115), (1500, 5000), (1.6, 2.6)),
    "t1": ((8, 15), (350, 650), (0.5, 0.75)),
}


def _lookup(tissue: NDArray[np.uint8], values: NDArray[np.float64]) -> Array:
    return values.astype(np.float32)[tissue]


def _texture(tissue: NDArray[np.uint8], rng: np.random.Generator) -> Array:
    """Patchy noise of unit deviation, correlated over about two voxels, scaled by tissue."""
    noise = ndimage.uniform_filter(rng.standard_normal(tissue.shape, dtype=np.float32), (3, 3, 1), mode="wrap")
    return noise * _lookup(tissue, 3.0 * np.array([_TEXTURE.get(t, 1.0) for t in Tissue]))


def render_ct(tissue: NDArray[np.uint8], grid: PhantomGrid, rng: np.random.Generator) -> NDArray[np.int16]:
    """Scan a tissue map by CT.

    Scans differ in contrast phase (mostly portal venous, some arterial or native), lesion depth (25 to 60 HU below
    the liver), fatty liver, reconstruction kernel (sharpness and noise grain) and dose (noise of 6 to 13 HU).

    Args:
        tissue: (x, y, z) tissue map.
        grid: its voxels.
        rng: source of all variation between scans.

    Returns:
        The image in HU, of the same shape.
    """
    table = np.array([_HU[t] for t in Tissue], dtype=np.float64)
    phase = rng.choice(3, p=[0.10, 0.20, 0.70])
    weights = 0.75 * np.eye(3)[phase] + 0.25 * rng.dirichlet([0.5, 0.5, 1.0])
    hu = table @ weights
    hu += rng.normal(0, 0.06, len(hu)) * np.where(np.abs(hu) < 300, np.abs(hu), 0)
    hu[Tissue.LIVER] -= 25 * max(0.0, rng.normal(0, 0.5))
    hu[Tissue.LESION] = hu[Tissue.LIVER] - rng.uniform(25, 60)
    image = _lookup(tissue, hu) + np.float32(rng.uniform(2, 5)) * _texture(tissue, rng)
    sharpness = rng.uniform(0.35, 0.75)
    image = ndimage.gaussian_filter(image, (sharpness, sharpness, 0.3), truncate=3.0)
    noise = rng.standard_normal(grid.shape, dtype=np.float32)
    noise = ndimage.gaussian_filter(noise, (sharpness, sharpness, 0), truncate=3.0, mode="wrap")
    image += noise * np.float32(rng.uniform(6, 13) / noise.std())
    image += np.float32(rng.uniform(1, 4)) * smooth_field(grid, 60.0, rng)
    return np.rint(np.clip(image, *HU_RANGE)).astype(np.int16)


def render_mr(
    tissue: NDArray[np.uint8],
    grid: PhantomGrid,
    rng: np.random.Generator,
    *,
    fat_suppressed: bool,
    contrast: MRContrast = "t2",
) -> NDArray[np.int16]:
    """Scan a tissue map by spin-echo MR, weighted by T2 or by T1.

    The signal is PD · (1 − exp(−TR/T1)) · exp(−TE/T2). Scans differ in TE, TR, tissue parameters, gain, bias field,
    texture and noise. Noise is Rician: the modulus of a complex signal with normal noise.

    Args:
        tissue: (x, y, z) tissue map.
        grid: its voxels.
        rng: source of all variation between scans.
        fat_suppressed: fat darker than every organ; else brighter than every organ.
        contrast: the weighting: lesions are brighter than the liver in T2, darker in T1.

    Returns:
        The image in arbitrary units, not negative, of the same shape.
    """
    density, t1, t2 = np.array([_RELAXATION[t] for t in Tissue], dtype=np.float64).T
    echo_range, repetition_range, lesion_range = _WEIGHTING[contrast]
    echo, repetition = rng.uniform(*echo_range), rng.uniform(*repetition_range)
    signal = density * (1 - np.exp(-repetition / t1)) * np.exp(-echo / t2)
    signal *= np.exp(rng.normal(0, 0.07, len(signal)))
    signal[Tissue.FAT] *= rng.uniform(0.05, 0.15) if fat_suppressed else rng.uniform(0.8, 1.1)
    signal[Tissue.SUBCUTANEOUS] = signal[Tissue.FAT]
    signal[Tissue.MARROW] *= 0.3 if fat_suppressed else 1.0
    signal[Tissue.LESION] = signal[Tissue.LIVER] * rng.uniform(*lesion_range)
    signal /= signal[Tissue.SPLEEN]
    image = _lookup(tissue, signal)
    image *= 1 + np.float32(rng.uniform(0.02, 0.04)) * _texture(tissue, rng)
    sharpness = rng.uniform(0.4, 0.8)
    image = ndimage.gaussian_filter(image, (sharpness, sharpness, 0.3), truncate=3.0)
    image *= np.exp(np.float32(rng.uniform(0.1, 0.25)) * smooth_field(grid, 130.0, rng))
    sigma = np.float32(rng.uniform(0.02, 0.045))
    real = image + sigma * rng.standard_normal(grid.shape, dtype=np.float32)
    imaginary = sigma * rng.standard_normal(grid.shape, dtype=np.float32)
    gain = np.float32(np.exp(rng.uniform(np.log(150), np.log(900))))
    return np.rint(np.clip(np.hypot(real, imaginary) * gain, 0, 32767)).astype(np.int16)
