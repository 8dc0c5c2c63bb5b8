"""Grids, read from headers alone: does each make sense, do image and label agree, do they suit the task?"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from nibabel.affines import voxel_sizes
from nibabel.nifti1 import Nifti1Image
from nibabel.orientations import inv_ornt_aff, io_orientation

from flareseg.config.task import Task
from flareseg.data.datalist import Case
from flareseg.data.faults import GeometryFault
from flareseg.data.faults.findings import Finding
from flareseg.data.nifti import AFFINE_TOLERANCE_MM

_SMALLEST_MM, _LARGEST_MM = 0.01, 100.0
_SHEAR = 0.02  # cosine between two axes: about a degree
_FARTHEST = 3.0
_FILLED = 0.75  # of a patch: a border of zeros does no harm
_ODD_SLOPE = 1e6
_UNITS = {1: "metres", 3: "micrometres"}


def geometry_faults(case: Case, image: Nifti1Image, label: Nifti1Image, task: Task | None) -> list[Finding]:
    """Check the headers of a NIfTI pair.

    Args:
        case: the files.
        image: opened, its voxels not read.
        label: the same.
        task: gives spacing and patch; None checks the pair by itself.
    """
    faults = [*_own_faults(case, case.image, image), *_own_faults(case, case.label, label)]
    if faults:
        return faults
    faults += _header_faults(case, image)
    pair = _pair_fault(case, image, label)
    if pair:
        return [*faults, pair]
    return faults if task is None else [*faults, *_task_faults(case, image, task)]


def _own_faults(case: Case, path: Path, image: Nifti1Image) -> list[Finding]:
    if image.get_data_dtype().names is not None:
        return [Finding(GeometryFault.COLOUR_VOLUME, f"{path}: holds {image.get_data_dtype()}.", case.name)]
    if len(image.shape) != 3:
        shape = _by(image.shape)
        return [Finding(GeometryFault.NOT_3D, f"{path}: expected three dimensions, found {shape}.", case.name)]
    affine = image.affine
    if not np.isfinite(affine).all() or abs(np.linalg.det(affine[:3, :3])) < 1e-9:
        rows = np.array2string(affine[:3], precision=3, suppress_small=True).replace("\n", "")
        return [Finding(GeometryFault.AFFINE_SINGULAR, f"{path}: the affine is {rows}.", case.name)]
    sizes = voxel_sizes(affine)
    if sizes.min() < _SMALLEST_MM or sizes.max() > _LARGEST_MM:
        return [Finding(GeometryFault.SPACING_ABSURD, f"{path}: the spacing is {_mm(sizes)}.", case.name)]
    return []


def _header_faults(case: Case, image: Nifti1Image) -> list[Finding]:
    """What is doubtful in the image's header."""
    path, header, faults = case.image, image.header, []
    unit = _UNITS.get(int(header["xyzt_units"]) & 0x07)
    if unit:
        faults.append(Finding(GeometryFault.UNITS_NOT_MM, f"{path}: the header's unit is {unit}.", case.name))
    if not int(header["sform_code"]) and not int(header["qform_code"]):
        faults.append(Finding(GeometryFault.ORIENTATION_UNKNOWN, f"{path}: sform and qform codes are 0.", case.name))
    if int(header["sform_code"]) and int(header["qform_code"]):
        apart = _farthest_corner(image.get_sform(), image.get_qform(), image.shape)
        if apart > max(1.0, voxel_sizes(image.affine).min() / 2):
            message = f"{path}: sform and qform place a corner {apart:.1f} mm apart."
            faults.append(Finding(GeometryFault.SFORM_QFORM, message, case.name))
    axes = image.affine[:3, :3] / voxel_sizes(image.affine)
    shear = np.abs(axes.T @ axes - np.eye(3)).max()
    if shear > _SHEAR:
        degrees = np.degrees(np.arcsin(min(shear, 1.0)))
        faults.append(Finding(GeometryFault.SHEARED, f"{path}: two axes are {degrees:.1f}° off.", case.name))
    slope, intercept = float(image.dataobj.slope), float(image.dataobj.inter)
    if not (0 < slope < _ODD_SLOPE and abs(intercept) < _ODD_SLOPE and slope > 1 / _ODD_SLOPE):
        message = f"{path}: the header's slope is {slope:g}, the intercept {intercept:g}."
        faults.append(Finding(GeometryFault.SLOPE_ODD, message, case.name))
    return faults


def _pair_fault(case: Case, image: Nifti1Image, label: Nifti1Image) -> Finding | None:
    """Image and label as training compares them: with their axes turned towards R, A, S."""
    (shape, affine), (label_shape, label_affine) = _canonical(image), _canonical(label)
    if shape != label_shape:
        message = f"{case.label}: expected the image's shape {_by(image.shape)}, found {_by(label.shape)}."
        return Finding(GeometryFault.SHAPE_MISMATCH, message, case.name)
    if np.allclose(affine, label_affine, atol=AFFINE_TOLERANCE_MM):
        return None
    ours, theirs = voxel_sizes(image.affine), voxel_sizes(label.affine)
    if not np.allclose(ours, theirs, rtol=1e-3):
        message = f"{case.label}: expected the image's spacing {_mm(ours)}, found {_mm(theirs)}."
        return Finding(GeometryFault.SPACING_MISMATCH, message, case.name)
    turned = np.abs(image.affine[:3, :3] / ours - label.affine[:3, :3] / theirs).max()
    if turned > 1e-3:
        cosines = np.sum(image.affine[:3, :3] * label.affine[:3, :3], axis=0) / ours / theirs
        degrees = np.degrees(np.arccos(np.clip(cosines.min(), -1, 1)))
        message = f"{case.label}: an axis is turned by {degrees:.1f}° against the image's."
        return Finding(GeometryFault.DIRECTION_MISMATCH, message, case.name)
    apart = _farthest_corner(image.affine, label.affine, image.shape)
    return Finding(GeometryFault.ORIGIN_MISMATCH, f"{case.label}: lies {apart:.1f} mm off its image.", case.name)


def _task_faults(case: Case, image: Nifti1Image, task: Task) -> list[Finding]:
    faults = []
    shape, affine = _canonical(image)
    own = voxel_sizes(affine)
    wanted = np.array([target or size for target, size in zip(task.spacing, own, strict=True)])
    ratio = np.maximum(own / wanted, wanted / own).max()
    if ratio > _FARTHEST:
        message = f"{case.image}: the spacing is {_mm(own)}, the task's {_mm(wanted)}: {ratio:.1f} times."
        faults.append(Finding(GeometryFault.RESAMPLED_FAR, message, case.name))
    resampled = np.round(np.array(shape) * own / wanted).astype(int)[: len(task.patch)]
    if (resampled < _FILLED * np.array(task.patch)).any():
        message = f"{case.image}: {_by(resampled)} voxels at the task's spacing, a patch has {_by(task.patch)}."
        faults.append(Finding(GeometryFault.SMALLER_THAN_PATCH, message, case.name))
    return faults


def _canonical(image: Nifti1Image) -> tuple[tuple[int, ...], np.ndarray]:
    """Shape and affine as they are once the axes are turned towards R, A, S, without reading a voxel."""
    orientation = io_orientation(image.affine)
    shape = [0, 0, 0]
    for axis, target in enumerate(orientation[:, 0].astype(int)):
        shape[target] = image.shape[axis]
    return tuple(shape), image.affine @ inv_ornt_aff(orientation, image.shape)


def _farthest_corner(one: np.ndarray, other: np.ndarray, shape: tuple[int, ...]) -> float:
    """By how many mm two affines place a corner of the volume apart."""
    corners = np.array([[*corner, 1] for corner in np.ndindex(2, 2, 2)]) * [*(np.array(shape) - 1), 1]
    return float(np.linalg.norm((corners @ (one - other).T)[:, :3], axis=1).max())


def _mm(sizes: np.ndarray) -> str:
    return " × ".join(f"{size:g}" for size in np.round(sizes, 3)) + " mm"


def _by(numbers: Iterable[int]) -> str:
    return " × ".join(str(int(number)) for number in numbers)
