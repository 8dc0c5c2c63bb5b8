"""One case, looked at from its files to what training will get of it."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from nibabel.affines import voxel_sizes
from nibabel.nifti1 import Nifti1Image
from nibabel.orientations import apply_orientation, io_orientation

from flareseg.config.site import Site
from flareseg.config.task import Task
from flareseg.data.check.files import file_faults, open_nifti, read_voxels
from flareseg.data.check.frames import frame_header_faults, read_pixels
from flareseg.data.check.geometry import geometry_faults
from flareseg.data.check.intensities import intensity_faults
from flareseg.data.check.labels import Annotation, content_faults, mask_faults, side_faults, window_faults
from flareseg.data.components import equivalent_diameters, label_components
from flareseg.data.datalist import Case, SplitName
from flareseg.data.faults import FileFault, LabelFault
from flareseg.data.faults.findings import Finding, errors
from flareseg.errors import DataError

_PATCHES = 32

ScaleFunction = Callable[[np.ndarray, np.ndarray, Sequence[int]], float]
"""η of a batch: labels (B, L, *spatial), spacing (B, 3), annotated labels."""


@dataclass(frozen=True)
class Content:
    """What training gets of a case.

    Attributes:
        shape: voxels along R, A, S.
        spacing: (3,) in mm.
        voxels: of each annotated label.
        slices: axial slices that hold each annotated label.
        diameters: equivalent diameters of the components of each label (mm).
        etas: η that FedGS gives to patches drawn from the case as training draws them; training cases only.
    """

    shape: tuple[int, ...]
    spacing: tuple[float, ...]
    voxels: dict[str, int]
    slices: dict[str, int]
    diameters: dict[str, list[float]]
    etas: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class CaseReport:
    """What the check knows of a case; it stays at the site.

    Attributes:
        split: where the case belongs.
        name: the case's.
        findings: what is wrong with it by itself.
        image_digest: of the voxels, where they could be read.
        label_digest: the same; None for an empty label.
        values: whole numbers that the label holds.
        content: what training gets, where it gets anything.
        picture: whatever the drawer made.
    """

    split: SplitName
    name: str
    findings: list[Finding]
    image_digest: str | None = None
    label_digest: str | None = None
    values: frozenset[int] = frozenset()
    content: Content | None = None
    picture: object = None


@dataclass(frozen=True)
class Voxels:
    """A case as read, axes towards R, A, S.

    Attributes:
        image: float32 (C, X, Y, Z), in HU, raw MR values, or 0 to 255.
        masks: bool (X, Y, Z) of each annotated label.
        spacing: (3,) in mm; 1 for a frame.
        values: whole numbers that the label holds.
        findings: what is wrong with the values.
    """

    image: np.ndarray
    masks: dict[str, np.ndarray]
    spacing: np.ndarray
    values: frozenset[int]
    findings: list[Finding]


Drawer = Callable[[Voxels, "tuple[float, float] | None"], object]
"""Makes what a page shows of a case, from its voxels and the task's window."""


@dataclass(frozen=True)
class CaseCheck:
    """Checks cases of one site; picklable, so that several processes may share the work.

    Args:
        site: the site's settings.
        task: the task, or None to check the data by itself.
        scale: gives η of patches; None where it is of no interest.
        draw: makes what a page shows of a case.
    """

    site: Site
    task: Task | None
    scale: ScaleFunction | None = None
    draw: Drawer | None = None

    def quick(self, case: Case) -> list[Finding]:
        """Check a case's files and headers; no voxel is read."""
        if faults := file_faults(case, self.site.modality):
            return faults
        return frame_header_faults(case) if self.site.modality == "RGB" else self._headers(case)[1]

    def full(self, split: SplitName, case: Case) -> CaseReport:
        """Read all of a case."""
        findings = self.quick(case)
        if errors(findings):
            return CaseReport(split, case.name, findings)
        read = self._read_frame(case) if self.site.modality == "RGB" else self._read_volume(case)
        if isinstance(read, list):
            return CaseReport(split, case.name, [*findings, *read])
        findings += read.findings
        digest = _digest(read.image)
        if errors(findings):
            return CaseReport(split, case.name, findings, image_digest=digest, picture=self._picture(read))
        annotation = Annotation.of(self.site, self.task)
        grey = self.site.modality != "RGB"
        findings += content_faults(case, read.masks, read.image[0], annotation, grey=grey)
        if grey and not errors(findings):
            findings += window_faults(case, read.masks, read.image[0], self._window)
            findings += side_faults(case, read.masks)
        content = _content(read.image.shape[1:], read.masks, read.spacing, annotation)
        if self.task and not errors(findings):
            try:
                content, lost = self._prepared(split, case, self.task, read.masks, annotation)
                findings += lost
            except DataError as error:
                findings.append(Finding(FileFault.NOT_PREPARABLE, str(error), case.name))
            except (MemoryError, RuntimeError):  # PyTorch's word for it
                message = f"{case.image}: resampling to the task's spacing takes more memory than there is."
                findings.append(Finding(FileFault.NOT_PREPARABLE, message, case.name))
        labelled = any(mask.any() for mask in read.masks.values())
        return CaseReport(
            split=split,
            name=case.name,
            findings=findings,
            image_digest=digest,
            label_digest=_digest(np.stack(list(read.masks.values()))) if labelled else None,
            values=read.values,
            content=content,
            picture=self._picture(read),
        )

    def _picture(self, read: Voxels) -> object:
        return self.draw(read, self._window) if self.draw and np.isfinite(read.image).all() else None

    @property
    def _window(self) -> tuple[float, float] | None:
        return self.task.modalities[self.site.modality].window if self.task else None

    def _headers(self, case: Case) -> tuple[tuple[Nifti1Image, Nifti1Image] | None, list[Finding]]:
        image, image_fault = open_nifti(case.image, case)
        label, label_fault = open_nifti(case.label, case)
        if image is None or label is None:
            return None, [fault for fault in (image_fault, label_fault) if fault]
        return (image, label), geometry_faults(case, image, label, self.task)

    def _read_volume(self, case: Case) -> Voxels | list[Finding]:
        pair, findings = self._headers(case)
        if pair is None:
            return findings
        arrays = []
        for opened, path in zip(pair, (case.image, case.label), strict=True):
            voxels, fault = read_voxels(opened, path, case)
            if voxels is None:
                return [fault] if fault else []
            arrays.append(apply_orientation(voxels, io_orientation(opened.affine)))
        scale, annotation = self.site.intensity, Annotation.of(self.site, self.task)
        image, label = arrays[0].astype(np.float32) * scale.slope + scale.intercept, arrays[1]
        findings = list(mask_faults(case, label, image, annotation))
        if not any(finding.kind is LabelFault.SWAPPED for finding in findings):
            findings += intensity_faults(case, image, self.site.modality, self.task)
        return Voxels(
            image=image[None],
            masks={name: np.isin(label, own) for name, own in annotation.values.items()},
            spacing=voxel_sizes(pair[0].affine)[np.argsort(io_orientation(pair[0].affine)[:, 0])],
            values=frozenset(int(value) for value in np.unique(label) if np.isfinite(value)),
            findings=findings,
        )

    def _read_frame(self, case: Case) -> Voxels | list[Finding]:
        read = read_pixels(case)
        if isinstance(read, Finding):
            return [read]
        image, mask = read
        annotation = Annotation.of(self.site, self.task)
        every = frozenset(value for values in annotation.values.values() for value in values)
        return Voxels(
            image=image,
            masks={name: mask > 0 for name in annotation.values},
            spacing=np.ones(3),
            values=every if mask.any() else frozenset(),
            findings=list(intensity_faults(case, image, "RGB", self.task)),
        )

    def _prepared(
        self, split: SplitName, case: Case, task: Task, masks: dict[str, np.ndarray], annotation: Annotation
    ) -> tuple[Content, list[Finding]]:
        """Prepare a case as training does."""
        from flareseg.data.cache import Cache  # PyTorch, which a check without a task does without
        from flareseg.data.sampling import PatchSampler

        with tempfile.TemporaryDirectory(prefix="flareseg-check-") as scratch:
            volume = Cache(Path(scratch), task, self.site).load(case)
            prepared = {name: np.array(volume.label[task.labels.index(name)]) > 0 for name in masks}
            lost = [name for name, mask in masks.items() if mask.any() and not prepared[name].any()]
            content = _content(volume.image.shape[1:], prepared, volume.spacing, annotation)
            if self.scale and split == "training":
                annotated = [task.labels.index(name) for name in masks]
                sampler = PatchSampler([volume], task.patch, task.training.foreground, annotated)
                batch = sampler.draw(_PATCHES, np.random.default_rng(task.training.seed))
                for number in range(_PATCHES):
                    one = slice(number, number + 1)
                    content.etas.append(self.scale(batch.labels[one], batch.spacing[one], annotated))
        message = f"{case.label}: nothing of {', '.join(lost)} is left at the task's spacing."
        return content, [Finding(LabelFault.TARGET_LOST, message, case.name)] if lost else []


def _content(
    shape: tuple[int, ...], masks: dict[str, np.ndarray], spacing: np.ndarray, annotation: Annotation
) -> Content:
    diameters = {}
    for name in sorted(annotation.lesions & set(masks)):
        parts, voxels = label_components(masks[name])
        diameters[name] = equivalent_diameters(voxels, spacing, parts.shape).tolist()
    return Content(
        shape=shape,
        spacing=tuple(float(size) for size in spacing),
        voxels={name: int(mask.sum()) for name, mask in masks.items()},
        slices={name: int(mask.any(axis=(0, 1)).sum()) for name, mask in masks.items()},
        diameters=diameters,
    )


def _digest(voxels: np.ndarray) -> str:
    """Of shape and values, whatever the file's type and compression."""
    plain = np.ascontiguousarray(voxels, dtype=np.float32)
    return hashlib.blake2b(repr(plain.shape).encode() + plain.tobytes(), digest_size=16).hexdigest()
