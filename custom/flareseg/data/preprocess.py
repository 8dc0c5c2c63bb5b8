"""From a case to network input: the task's grid, intensities in [0, 1], one mask per label."""

from __future__ import annotations

import numpy as np
import torch
from monai.data.meta_tensor import MetaTensor
from monai.transforms import Spacing
from nibabel.affines import voxel_sizes

from flareseg.config.site import Site
from flareseg.config.task import Intensity, Task
from flareseg.data.annotation import Annotation
from flareseg.data.case import Case
from flareseg.data.label_values import mask_of
from flareseg.data.reader import Scan, read_scan


def preprocess(case: Case, task: Task, site: Site) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Read and prepare one case.

    Args:
        case: the files.
        task: gives channels, spacing and intensity normalisation.
        site: gives modality, label values and the scale of stored intensities.

    Returns:
        image: float32 (C, X, Y, Z), values in [0, 1], axes towards R, A, S; an RGB frame is (3, X, Y, 1).
        label: uint8 (L, X, Y, Z) of 0 and 1, in the order of the task's labels; all 0 where not annotated.
        spacing: float32 (3,), voxel size in mm; of an RGB frame 1, so that its sizes are in pixels.

    Raises:
        DataError: the case cannot be used, see :func:`flareseg.data.reader.read_case`.
    """
    return prepare_scan(read_scan(case, site, task, task.resize), task, site)


def prepare_scan(scan: Scan, task: Task, site: Site) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Prepare a case that was read; see :func:`preprocess`."""
    intensity, annotation = task.modalities[site.modality], Annotation.of(site, task)
    if scan.label is None:
        return normalize(scan.image, intensity), label_stack(scan.masks, task), np.ones(3, dtype=np.float32)
    pixdim = [wanted or float(own) for wanted, own in zip(task.spacing, scan.grid.spacing, strict=True)]
    values, masks = scan.image, scan.masks
    if not np.allclose(scan.grid.spacing, pixdim, rtol=1e-3):
        values, _ = resample(scan.image, scan.grid.affine, pixdim, "bilinear")
        # Labels by their values at once: nearest takes the same voxel whatever it holds.
        label = np.rint(resample(scan.label[None], scan.grid.affine, pixdim, "nearest")[0][0]).astype(np.int32)
        masks = {name: mask_of(label, own) for name, own in annotation.values.items()}
    scaled = np.stack([normalize(channel, intensity) for channel in values])
    return scaled, label_stack(masks, task), np.asarray(pixdim, dtype=np.float32)


def label_stack(masks: dict[str, np.ndarray], task: Task) -> np.ndarray:
    """Masks in the order of the task's labels, uint8 (L, X, Y, Z); all 0 where a label was not annotated."""
    shape = next(iter(masks.values())).shape
    stack = np.zeros((len(task.labels), *shape), dtype=np.uint8)
    for channel, name in zip(stack, task.labels, strict=True):
        if name in masks:
            channel[...] = masks[name]
    return stack


def normalize(values: np.ndarray, intensity: Intensity) -> np.ndarray:
    """Clip to the window (HU) or to the image's percentiles, and scale linearly to [0, 1] (float32)."""
    low, high = intensity.window or np.percentile(values, intensity.percentiles or (0.0, 100.0))
    scaled = values - low
    scaled /= max(high - low, 1e-6)
    return np.clip(scaled, 0.0, 1.0, out=scaled).astype(np.float32, copy=False)


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
    values = np.ascontiguousarray(volume, dtype=np.float32)  # an axis may run backwards, which PyTorch cannot hold
    tensor = MetaTensor(torch.as_tensor(values), affine=torch.as_tensor(affine))
    spacing = Spacing(pixdim=pixdim, mode=mode, padding_mode="border", dtype=torch.float32)
    result = spacing(tensor)
    return np.asarray(result.numpy()), np.asarray(result.affine, dtype=np.float64)
