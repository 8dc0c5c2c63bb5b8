"""What the headers of a NIfTI case say: does each grid make sense, do they agree, do they suit the task?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

import numpy as np
from nibabel.nifti1 import Nifti1Image

from flareseg.config.site import DataSource
from flareseg.config.task import Task
from flareseg.data.case import Case
from flareseg.data.faults import GeometryFault
from flareseg.data.faults.findings import Finding, errors
from flareseg.data.grid import SAME_GRID, Grid, by, in_mm
from flareseg.data.nifti import SHEAR, grid_of, shear_of, size_doubt, volume_fault

_SMALLEST_MM, _LARGEST_MM = 0.01, 100.0
_FARTHEST = 3.0
_FILLED = 0.75  # of a patch: a border of zeros does no harm
_ODD_SLOPE = 1e6
_UNITS = {1: "metres", 3: "micrometres"}
_APART = 0.1  # voxels
_MIRRORED = 45.0  # degrees


@dataclass(frozen=True)
class Headers:
    """The opened files of a case, their voxels not read.

    Attributes:
        images: file and header of each channel.
        label: the label's.
        grid: of all of them, as the image is stored; with the voxel size of site.yaml where the header knows none.
    """

    images: tuple[tuple[Path, Nifti1Image], ...]
    label: tuple[Path, Nifti1Image]
    grid: Grid

    @property
    def paths(self) -> tuple[Path, ...]:
        """The files of the channels."""
        return tuple(path for path, _ in self.images)


def header_faults(
    case: Case,
    images: Sequence[tuple[Path, Nifti1Image]],
    label: tuple[Path, Nifti1Image],
    source: DataSource,
    task: Task | None,
) -> tuple[Headers | None, list[Finding]]:
    """Check the headers of a case.

    Args:
        case: names it.
        images: file and header of each channel.
        label: the label's.
        source: states the voxel size where a header does not know it.
        task: gives spacing, patch and whether mm matter; None checks the case by itself.

    Returns:
        The headers where no error is among the findings, and the findings.
    """
    faults = [fault for path, image in (*images, label) for fault in _own_faults(case, path, image)]
    if faults:
        return None, faults
    (path, image), stated = images[0], stated_spacing(source, case)
    grids = [_grid(path, image, stated) for path, image in (*images, label)]
    faults = _header_faults(case, path, image)
    if stated is None and (reason := size_doubt(image, path)):
        kind = GeometryFault.SPACING_NEEDED if task and task.uses_mm else GeometryFault.SPACING_UNKNOWN
        faults.append(Finding(kind, f"{path}: {reason}.", case.name))
    first = grids[0].canonical()
    for (other, _), grid in zip(images[1:], grids[1:-1], strict=True):
        if not first.holds(grid.canonical()):
            message = f"{other}: does not lie on the grid of {path.name} ({_apart(first, grid.canonical())})."
            faults.append(Finding(GeometryFault.CHANNELS_APART, message, case.name))
    faults += _pair_faults(case, label[0], grids[0], grids[-1])
    if not errors(faults) and task is not None:
        faults += _task_faults(case, path, first, task)
    return (None if errors(faults) else Headers(tuple(images), label, grids[0])), faults


def stated_spacing(source: DataSource, case: Case) -> Sequence[float] | None:
    """The voxel size that site.yaml states for a case whose header does not know it."""
    if not isinstance(source.spacing, Mapping):
        return source.spacing
    return next(
        (size for pattern, size in source.spacing.items() if any(fnmatchcase(name, pattern) for name in case.known_as)),
        None,
    )


def _grid(path: Path, image: Nifti1Image, stated: Sequence[float] | None) -> Grid:
    grid = grid_of(image)
    return grid if stated is None or size_doubt(image, path) is None else grid.with_spacing(stated)


def _own_faults(case: Case, path: Path, image: Nifti1Image) -> list[Finding]:
    if fault := volume_fault(image, path, case.name):
        return [fault]
    sizes = grid_of(image).spacing
    if sizes.min() < _SMALLEST_MM or sizes.max() > _LARGEST_MM:
        return [Finding(GeometryFault.SPACING_ABSURD, f"{path}: the spacing is {in_mm(sizes)}.", case.name)]
    return []


def _header_faults(case: Case, path: Path, image: Nifti1Image) -> list[Finding]:
    """What is doubtful in the image's header."""
    header, faults, grid = image.header, [], grid_of(image)
    unit = _UNITS.get(int(header["xyzt_units"]) & 0x07)
    if unit:
        faults.append(Finding(GeometryFault.UNITS_NOT_MM, f"{path}: the header's unit is {unit}.", case.name))
    if not int(header["sform_code"]) and not int(header["qform_code"]):
        faults.append(Finding(GeometryFault.ORIENTATION_UNKNOWN, f"{path}: sform and qform codes are 0.", case.name))
    if int(header["sform_code"]) and int(header["qform_code"]):
        apart = Grid(grid.shape, image.get_sform()).corners_apart(image.get_qform())[1]
        if apart > max(1.0, grid.spacing.min() / 2):
            message = f"{path}: sform and qform place a corner {apart:.1f} mm apart."
            faults.append(Finding(GeometryFault.SFORM_QFORM, message, case.name))
    shear = shear_of(image.affine)
    if shear > SHEAR:
        degrees = np.degrees(np.arcsin(min(shear, 1.0)))
        faults.append(Finding(GeometryFault.SHEARED, f"{path}: two axes are {degrees:.1f}° off.", case.name))
    slope, intercept = float(image.dataobj.slope), float(image.dataobj.inter)
    if not (0 < slope < _ODD_SLOPE and abs(intercept) < _ODD_SLOPE and slope > 1 / _ODD_SLOPE):
        message = f"{path}: the header's slope is {slope:g}, the intercept {intercept:g}."
        faults.append(Finding(GeometryFault.SLOPE_ODD, message, case.name))
    return faults


def _pair_faults(case: Case, path: Path, image: Grid, label: Grid) -> list[Finding]:
    """Image and label with their axes turned towards R, A, S, as they are trained on."""
    one, other = image.canonical(), label.canonical()
    if one.shape != other.shape:
        message = f"{path}: expected the image's shape {by(image.shape)}, found {by(label.shape)}."
        return [Finding(GeometryFault.SHAPE_MISMATCH, message, case.name)]
    voxels, apart = one.corners_apart(other.affine)
    if one.holds(other):
        message = f"{path}: a corner lies {voxels:.2f} voxels ({apart:.2g} mm) off its image's."
        return [Finding(GeometryFault.GRIDS_APART, message, case.name)] if voxels > _APART else []
    ours, theirs = image.spacing, label.spacing
    off = f"; a corner lies {voxels:.1f} voxels off"
    cosines = np.sum(image.affine[:3, :3] * label.affine[:3, :3], axis=0) / ours / theirs
    degrees = np.degrees(np.arccos(np.clip(cosines.min(), -1, 1)))
    turned = f"{path}: an axis is turned by {degrees:.1f}° against the image's{off}."
    if degrees > _MIRRORED:
        return [Finding(GeometryFault.DIRECTION_MISMATCH, turned, case.name)]
    if one.corners_apart(one.with_spacing(other.spacing).affine)[0] > SAME_GRID / 4:
        message = f"{path}: expected the image's spacing {in_mm(ours)}, found {in_mm(theirs)}{off}."
        return [Finding(GeometryFault.SPACING_MISMATCH, message, case.name)]
    at_one_origin = np.array(other.affine)
    at_one_origin[:3, 3] = one.affine[:3, 3]
    if one.corners_apart(at_one_origin)[0] > SAME_GRID / 4:
        return [Finding(GeometryFault.DIRECTION_MISMATCH, turned, case.name)]
    return [Finding(GeometryFault.ORIGIN_MISMATCH, f"{path}: lies {apart:.1f} mm off its image{off}.", case.name)]


def _apart(one: Grid, other: Grid) -> str:
    if one.shape != other.shape:
        return f"{by(other.shape)} voxels in place of {by(one.shape)}"
    return f"a corner lies {one.corners_apart(other.affine)[0]:.1f} voxels off"


def _task_faults(case: Case, path: Path, grid: Grid, task: Task) -> list[Finding]:
    faults = []
    wanted = np.array([target or size for target, size in zip(task.spacing, grid.spacing, strict=True)])
    ratio = np.maximum(grid.spacing / wanted, wanted / grid.spacing).max()
    if ratio > _FARTHEST:
        message = f"{path}: the spacing is {in_mm(grid.spacing)}, the task's {in_mm(wanted)}: {ratio:.1f} times."
        faults.append(Finding(GeometryFault.RESAMPLED_FAR, message, case.name))
    resampled = np.round(np.array(grid.shape) * grid.spacing / wanted).astype(int)[: len(task.patch)]
    if (resampled < _FILLED * np.array(task.patch)).any():
        message = f"{path}: {by(resampled)} voxels at the task's spacing, a patch has {by(task.patch)}."
        faults.append(Finding(GeometryFault.SMALLER_THAN_PATCH, message, case.name))
    return faults
