"""The reader: pixels, geometry and labels of a case, for preparation, check, job start and training alike.

What a fault is, is decided here: training raises the first error among the findings, the check shows all of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from nibabel.nifti1 import Nifti1Image
from nibabel.orientations import apply_orientation

from flareseg.config.site import Scale, Site
from flareseg.config.task import Task
from flareseg.data.annotation import Annotation
from flareseg.data.case import Case
from flareseg.data.case_files import file_faults
from flareseg.data.faults import FileFault
from flareseg.data.faults.findings import CaseError, Finding, errors
from flareseg.data.frames import frame_header_faults, read_frame
from flareseg.data.geometry import Headers, header_faults
from flareseg.data.grid import Grid
from flareseg.data.label_values import mask_of, naming_faults, whole_numbers
from flareseg.data.nifti import grid_of, open_nifti, read_voxels
from flareseg.data.voxel_faults import placement_faults, signal_faults


@dataclass(frozen=True)
class Scan:
    """A case as read, axes towards R, A, S.

    Attributes:
        image: float32 (C, X, Y, Z), in HU, raw MR values, or 0 to 255.
        masks: bool (X, Y, Z) of each annotated label.
        grid: of the voxels; of a frame one of 1 for each pixel.
        values: whole numbers that the label holds.
        label: integer (X, Y, Z) with the site's own values; None for a frame.
    """

    image: np.ndarray
    masks: dict[str, np.ndarray]
    grid: Grid
    values: frozenset[int]
    label: np.ndarray | None = None

    @property
    def spacing(self) -> np.ndarray:
        """(3,) in mm; 1 for a frame."""
        return self.grid.spacing

    @property
    def is_frame(self) -> bool:
        """A photograph: flat, of three colours, without mm."""
        return self.label is None


def read_headers(case: Case, site: Site, task: Task | None) -> tuple[Headers | None, list[Finding]]:
    """Look at a case's files and headers; no voxel is read.

    Returns:
        The opened files, None of a frame or where an error is among the findings; and the findings.
    """
    try:
        case = with_channels(case, task)
    except CaseError as error:
        return None, [error.finding]
    if faults := file_faults(case, site.modality):
        return None, faults
    if site.modality == "RGB":
        return None, frame_header_faults(case)
    opened, faults = [], []
    for path in case.files:
        try:
            opened.append((path, open_nifti(path, case.name)))
        except CaseError as error:
            faults.append(error.finding)
    return (None, faults) if faults else header_faults(case, opened[:-1], opened[-1], site.data, task)


def read_case(
    case: Case, site: Site, task: Task | None, resize: tuple[int, int] | None = None
) -> tuple[Scan | None, list[Finding]]:
    """Read all of a case.

    Args:
        case: the files.
        site: modality, label values, scale of stored intensities, voxel size where headers do not know it.
        task: gives labels, channels and window; None reads every label of the site.
        resize: width and height in pixels that a frame is brought to.

    Returns:
        The case, None where a fault left nothing to look at; and all that is wrong with it, warnings among it.
    """
    headers, findings = read_headers(case, site, task)
    if errors(findings):
        return None, findings
    annotation = Annotation.of(site, task)
    try:
        if headers is None:
            image, masks, values, more = read_frame(case, annotation, resize)
            scan = Scan(image, masks, Grid(image.shape[1:], np.eye(4)), values)
        else:
            scan, more = _read_volume(case, headers, site, annotation)
    except CaseError as error:
        return None, [*findings, error.finding]
    findings += more
    channels = [(case.image, scan.image)] if headers is None else zip(headers.paths, scan.image, strict=True)
    for path, channel in channels:
        findings += signal_faults(channel, path, site, task, case.name)
    if headers is not None and not errors(findings):
        findings += placement_faults(scan.masks, scan.image[0], case.label, annotation, case.name)
    return scan, findings


def read_scan(case: Case, site: Site, task: Task | None, resize: tuple[int, int] | None = None) -> Scan:
    """Read a case that is to be trained on, scored or measured.

    Raises:
        CaseError: it cannot be used; the first error of :func:`read_case`.
    """
    scan, findings = read_case(case, site, task, resize)
    for finding in errors(findings):
        raise finding.error()
    if scan is None:
        raise RuntimeError("a case that was not read has an error")
    return scan


def with_channels(case: Case, task: Task | None) -> Case:
    """The case with the channels that a task wants, in its order.

    Raises:
        CaseError: the case has no such channel, or several where the task takes one.
    """
    if task is None or (not task.channels and len(case.channels) < 2):
        return case
    files = dict(case.channels)
    wanted = task.channels or ("one channel",)
    if lacking := [name for name in wanted if name not in files]:
        found = ", ".join(files) or "one image without a name"
        message = f"{case.image}: the task takes {', '.join(lacking)}, the case has {found}."
        raise Finding(FileFault.CHANNEL_MISSING, message, case.name).error()
    channels = tuple((name, files[name]) for name in wanted)
    return Case(case.name, channels[0][1], case.label, case.patient, channels)


def _read_volume(case: Case, headers: Headers, site: Site, annotation: Annotation) -> tuple[Scan, list[Finding]]:
    channels = [_turned(image, path, case) for path, image in headers.images]
    path, opened = headers.label
    stored = _turned(opened, path, case)
    names, scale = (str(path), case.image.name), float(opened.dataobj.slope)
    label, values, findings = whole_numbers(stored, channels[0], names, scale, case.name)
    if label is None:
        raise findings[0].error()
    findings += naming_faults(values, path, annotation, case.name)
    scan = Scan(
        image=np.stack([_scaled(channel, site.intensity) for channel in channels]),
        masks={name: mask_of(label, own) for name, own in annotation.values.items()},
        grid=headers.grid.canonical(),
        values=frozenset(values),
        label=label,
    )
    return scan, findings


def _turned(opened: Nifti1Image, path: Path, case: Case) -> np.ndarray:
    """All voxels, their axes turned towards R, A, S."""
    turned: np.ndarray = apply_orientation(read_voxels(opened, path, case.name), grid_of(opened).orientation)
    return turned


def _scaled(stored: np.ndarray, scale: Scale) -> np.ndarray:
    """Stored values as float32 in HU or raw MR values."""
    values = stored.astype(np.float32)
    return values if scale == Scale() else values * scale.slope + scale.intercept
