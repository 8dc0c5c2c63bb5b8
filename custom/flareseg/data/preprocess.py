"""From a NIfTI pair or an RGB frame to network input: the task's grid, intensities in [0, 1], one mask per label."""

from __future__ import annotations

import zlib
from pathlib import Path

import nibabel as nib
import numpy as np
import torch
from monai.data.meta_tensor import MetaTensor
from monai.transforms import Spacing
from nibabel.affines import voxel_sizes
from nibabel.spatialimages import SpatialImage

from flareseg.config.site import Site
from flareseg.config.task import Intensity, Task
from flareseg.data.datalist import Case
from flareseg.data.frames import read_frame
from flareseg.data.nifti import AFFINE_TOLERANCE_MM, verify_checksum
from flareseg.errors import DataError, ErrorCode, unreadable


def preprocess(case: Case, task: Task, site: Site) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Read and prepare one case.

    Args:
        case: the files.
        task: gives spacing and intensity normalisation.
        site: gives modality, label values and the scale of stored intensities.

    Returns:
        image: float32 (C, X, Y, Z), values in [0, 1], axes towards R, A, S; an RGB frame is (3, X, Y, 1).
        label: uint8 (L, X, Y, Z) of 0 and 1, in the order of the task's labels; all 0 where not annotated.
        spacing: float32 (3,), voxel size in mm; of an RGB frame 1, so that its sizes are in pixels.

    Raises:
        DataError: a file is not readable or cut short, image and label differ in geometry, a label is not an integer
            mask, or the image holds no finite signal.
    """
    if site.modality == "RGB":
        pixels, inside = read_frame(case, task.resize)
        masks = np.stack([inside if site.labels[name] is not None else np.zeros_like(inside) for name in task.labels])
        return normalize(pixels, task.modalities["RGB"]), masks, np.ones(3, dtype=np.float32)
    values, masks, affine = read_volume(case, task, site)
    pixdim = [wanted or own for wanted, own in zip(task.spacing, voxel_sizes(affine), strict=True)]
    values, _ = resample(values[None], affine, pixdim, "bilinear")
    masks, _ = resample(masks, affine, pixdim, "nearest")
    scaled = normalize(values, task.modalities[site.modality])
    return scaled, (masks > 0.5).astype(np.uint8), np.asarray(pixdim, dtype=np.float32)


def read_volume(case: Case, task: Task, site: Site) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Read an image and its label as they are, turned towards R, A, S.

    Returns:
        values: float32 (X, Y, Z), HU for CT, raw values for MR.
        masks: uint8 (L, X, Y, Z) of 0 and 1, in the order of the task's labels; all 0 where not annotated.
        affine: (4, 4), voxel indices to mm.

    Raises:
        DataError: as :func:`preprocess`.
    """
    image, label = _read(case.image, case), _read(case.label, case)
    if image.ndim != 3 or image.shape != label.shape:
        raise DataError(
            f"{case.label}: expected the image's shape {image.shape} (three dimensions), found {label.shape}.",
            "Export the label on the image's grid.",
            code=ErrorCode.SHAPE_MISMATCH,
            case=case.name,
        )
    if not np.allclose(image.affine, label.affine, atol=AFFINE_TOLERANCE_MM):
        raise DataError(
            f"{case.label}: its affine differs from the image's by up to "
            f"{np.abs(image.affine - label.affine).max():.2f} mm.",
            "Export the label on the image's grid.",
            code=ErrorCode.SHAPE_MISMATCH,
            case=case.name,
        )
    values = _voxels(image, case.image, case).astype(np.float32)
    masks = _masks(_voxels(label, case.label, case), case, task, site)
    values = values * site.intensity.slope + site.intensity.intercept
    if not np.isfinite(values).all():
        raise DataError(
            f"{case.image}: holds NaN or infinite voxels.",
            "Export the image again.",
            code=ErrorCode.UNREADABLE_IMAGE,
            case=case.name,
        )
    return values, masks, image.affine


def normalize(values: np.ndarray, intensity: Intensity) -> np.ndarray:
    """Clip to the window (HU) or to the image's percentiles, and scale linearly to [0, 1] (float32)."""
    low, high = intensity.window or np.percentile(values, intensity.percentiles or (0.0, 100.0))
    return (np.clip((values - low) / max(high - low, 1e-6), 0.0, 1.0)).astype(np.float32)


def _read(path: Path, case: Case) -> SpatialImage:
    try:
        return nib.as_closest_canonical(nib.load(path))
    except Exception as error:  # nibabel raises whatever the decoder raised; all mean the same to the site
        raise unreadable(path, "NIfTI", case.name, error) from None


def _voxels(image: SpatialImage, path: Path, case: Case) -> np.ndarray:
    try:
        verify_checksum(path)
        return np.asanyarray(image.dataobj)
    except (OSError, EOFError, ValueError, zlib.error) as error:
        raise unreadable(path, "NIfTI", case.name, error) from None


def _masks(label: np.ndarray, case: Case, task: Task, site: Site) -> np.ndarray:
    if not np.isfinite(label).all() or (label != np.rint(label)).any():
        raise DataError(
            f"{case.label}: expected whole numbers, found fractions.",
            "Export the label without interpolation.",
            code=ErrorCode.BAD_LABEL,
            case=case.name,
        )
    masks = np.zeros((len(task.labels), *label.shape), dtype=np.uint8)
    for mask, name in zip(masks, task.labels, strict=True):
        values = site.labels[name]
        if values is not None:
            mask[...] = np.isin(label, values)
    return masks


def resample(volume: np.ndarray, affine: np.ndarray, pixdim: list[float], mode: str) -> tuple[np.ndarray, np.ndarray]:
    """Resample to a spacing; what has it already, to a thousandth, stays as it is.

    Args:
        volume: (C, X, Y, Z).
        affine: (4, 4), voxel indices to mm.
        pixdim: wanted spacing in mm.
        mode: ``bilinear`` or ``nearest``.

    Returns:
        float32 (C, X', Y', Z') and its affine; ``volume`` itself where nothing is to be done.
    """
    if np.allclose(voxel_sizes(affine), pixdim, rtol=1e-3):
        return volume, affine
    tensor = MetaTensor(torch.as_tensor(volume, dtype=torch.float32), affine=torch.as_tensor(affine))
    spacing = Spacing(pixdim=pixdim, mode=mode, padding_mode="border", dtype=torch.float32)
    result = spacing(tensor)
    return np.asarray(result.numpy()), np.asarray(result.affine, dtype=np.float64)
