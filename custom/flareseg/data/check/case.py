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

from flareseg.data.check.files import file_faults, open_nifti, read_voxels
from flareseg.data.check.findings import Finding, errors
from flareseg.data.check.geometry import geometry_faults
from flareseg.data.check.intensities import intensity_faults
from flareseg.data.check.kinds import FileFault, LabelFault
from flareseg.data.check.labels import Annotation, content_faults, mask_faults, side_faults, window_faults
from flareseg.data.datalist import Case, SplitName
from flareseg.data.targets import equivalent_diameters, label_targets, target_voxels
from flareseg.errors import DataError
from flareseg.site import Site
from flareseg.task import Task

_PATCHES = 32

Scale = Callable[[np.ndarray, np.ndarray, Sequence[int]], float]
"""η of a batch: labels (B, L, *spatial), spacing (B, 3), annotated labels."""


@dataclass(frozen=True)
class Content:
    """What training gets of a case.

    Attributes:
        shape: voxels along R, A, S.
        spacing: (3,) in mm.
        voxels: of each annotated label.
        slices: axial slices that hold each annotated label.
        diameters: equivalent diameters of the targets of each label (mm).
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
class Look:
    """What there is to draw: image float32 (C, X, Y, Z), masks bool (L, X, Y, Z) by name, spacing (3,) in mm."""

    image: np.ndarray
    masks: dict[str, np.ndarray]
    spacing: np.ndarray
    window: tuple[float, float] | None


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
    scale: Scale | None = None
    draw: Callable[[Look], object] | None = None

    def quick(self, case: Case) -> list[Finding]:
        """Check a case's files and headers; no voxel is read."""
        return self._open(case)[1]

    def full(self, split: SplitName, case: Case) -> CaseReport:
        """Read all of a case."""
        pair, findings = self._open(case)
        if pair is None or errors(findings):
            return CaseReport(split, case.name, findings)
        (image, label), affine = pair, pair[0].affine
        arrays = []
        for opened, path in ((image, case.image), (label, case.label)):
            voxels, fault = read_voxels(opened, path, case)
            if voxels is None:
                return CaseReport(split, case.name, [*findings, *([fault] if fault else [])])
            arrays.append(apply_orientation(voxels, io_orientation(opened.affine)))
        values = arrays[0].astype(np.float32) * self.site.intensity.slope + self.site.intensity.intercept
        return self._look(split, case, findings, values, arrays[1], voxel_sizes(affine))

    def _open(self, case: Case) -> tuple[tuple[Nifti1Image, Nifti1Image] | None, list[Finding]]:
        findings = file_faults(case, self.site.modality)
        if findings:
            return None, findings
        image, image_fault = open_nifti(case.image, case)
        label, label_fault = open_nifti(case.label, case)
        if image is None or label is None:
            return None, [fault for fault in (image_fault, label_fault) if fault]
        return (image, label), geometry_faults(case, image, label, self.task)

    def _look(
        self,
        split: SplitName,
        case: Case,
        findings: list[Finding],
        image: np.ndarray,
        label: np.ndarray,
        size: np.ndarray,
    ) -> CaseReport:
        annotation = Annotation.of(self.site, self.task)
        window = self.task.modalities[self.site.modality].window if self.task else None
        findings = [
            *findings,
            *intensity_faults(case, image, self.site.modality, self.task),
            *mask_faults(case, label, image, annotation),
        ]
        if errors(findings):
            return CaseReport(split, case.name, findings, image_digest=_digest(image))
        masks = {name: np.isin(label, values) for name, values in annotation.values.items()}
        findings += content_faults(case, masks, image, annotation, grey=True)
        findings += window_faults(case, masks, image, window)
        findings += side_faults(case, masks)
        content = _content(masks, size, annotation)
        if self.task and not errors(findings):
            try:
                content, lost = self._prepared(split, case, self.task, masks, annotation)
                findings += lost
            except DataError as error:
                findings.append(Finding(FileFault.NOT_PREPARABLE, str(error), case.name))
        look = Look(image[None], masks, size, window)
        return CaseReport(
            split=split,
            name=case.name,
            findings=findings,
            image_digest=_digest(image),
            label_digest=_digest(label) if any(mask.any() for mask in masks.values()) else None,
            values=frozenset(int(value) for value in np.unique(label)),
            content=content,
            picture=self.draw(look) if self.draw else None,
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
            content = _content(prepared, volume.spacing, annotation)
            if self.scale and split == "training":
                annotated = [task.labels.index(name) for name in masks]
                sampler = PatchSampler([volume], task.patch, task.training.foreground, annotated)
                batch = sampler.draw(_PATCHES, np.random.default_rng(task.training.seed))
                for number in range(_PATCHES):
                    one = slice(number, number + 1)
                    content.etas.append(self.scale(batch.labels[one], batch.spacing[one], annotated))
        message = f"{case.label}: nothing of {', '.join(lost)} is left at the task's spacing."
        return content, [Finding(LabelFault.TARGET_LOST, message, case.name)] if lost else []


def _content(masks: dict[str, np.ndarray], spacing: np.ndarray, annotation: Annotation) -> Content:
    diameters = {}
    for name in sorted(annotation.targets & set(masks)):
        parts, count = label_targets(masks[name])
        dims = 2 if parts.shape[2] == 1 else 3
        diameters[name] = equivalent_diameters(target_voxels(parts, count), spacing, dims).tolist()
    return Content(
        shape=next(iter(masks.values())).shape,
        spacing=tuple(float(size) for size in spacing),
        voxels={name: int(mask.sum()) for name, mask in masks.items()},
        slices={name: int(mask.any(axis=(0, 1)).sum()) for name, mask in masks.items()},
        diameters=diameters,
    )


def _digest(voxels: np.ndarray) -> str:
    """Of shape and values, whatever the file's type and compression."""
    plain = np.ascontiguousarray(voxels, dtype=np.float32)
    return hashlib.blake2b(repr(plain.shape).encode() + plain.tobytes(), digest_size=16).hexdigest()
