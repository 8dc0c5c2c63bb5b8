"""One case, looked at from its files to what training will get of it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from flareseg.config.site import Site
from flareseg.config.task import Task
from flareseg.data.annotation import Annotation
from flareseg.data.case import Case, SplitName
from flareseg.data.check.intensities import intensity_faults
from flareseg.data.check.labels import content_faults, side_faults, window_faults
from flareseg.data.check.repeats import repeat_faults
from flareseg.data.components import equivalent_diameters, label_components
from flareseg.data.faults import FileFault, IntensityFault, LabelFault
from flareseg.data.faults.findings import Finding, errors
from flareseg.data.reader import Scan, read_case, read_headers, read_scan

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


Drawer = Callable[[Scan, "tuple[float, float] | None"], object]
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
        return read_headers(case, self.site, self.task)[1]

    def full(self, split: SplitName, case: Case) -> CaseReport:
        """Read all of a case."""
        scan, findings = read_case(case, self.site, self.task)
        if scan is None:
            return CaseReport(split, case.name, findings)
        digest = _digest(scan.image)
        if not any(isinstance(finding.kind, IntensityFault) for finding in findings):
            findings += intensity_faults(case, scan.image if scan.is_frame else scan.image[0], self.site.modality)
        if errors(findings):
            return CaseReport(split, case.name, findings, image_digest=digest, picture=self._picture(scan))
        annotation = Annotation.of(self.site, self.task)
        if any(mask.any() for mask in scan.masks.values()):
            findings += content_faults(case, scan.masks, annotation, grey=not scan.is_frame)
        if not scan.is_frame:
            findings += window_faults(case, scan.masks, scan.image[0], self._window)
            findings += side_faults(case, scan.masks)
            findings += repeat_faults(case, scan.masks, scan.image[0], annotation)
        content = _content(scan.image.shape[1:], scan.masks, scan.spacing, annotation)
        if self.task:
            try:
                content, lost = self._prepared(split, case, self.task, scan, annotation)
                findings += lost
            except (MemoryError, RuntimeError):  # PyTorch's word for it
                message = f"{case.image}: resampling to the task's spacing takes more memory than there is."
                findings.append(Finding(FileFault.NOT_PREPARABLE, message, case.name))
        labelled = any(mask.any() for mask in scan.masks.values())
        return CaseReport(
            split=split,
            name=case.name,
            findings=findings,
            image_digest=digest,
            label_digest=_digest(np.stack(list(scan.masks.values()))) if labelled else None,
            values=scan.values,
            content=content,
            picture=self._picture(scan),
        )

    def _picture(self, scan: Scan) -> object:
        return self.draw(scan, self._window) if self.draw and np.isfinite(scan.image).all() else None

    @property
    def _window(self) -> tuple[float, float] | None:
        return self.task.modalities[self.site.modality].window if self.task else None

    def _prepared(
        self, split: SplitName, case: Case, task: Task, scan: Scan, annotation: Annotation
    ) -> tuple[Content, list[Finding]]:
        """Prepare a case as training does."""
        from flareseg.data.cache import in_memory  # PyTorch, which a check without a task does without
        from flareseg.data.preprocess import prepare_scan
        from flareseg.data.sampling import PatchSampler

        if scan.is_frame and task.resize:
            scan = read_scan(case, self.site, task, task.resize)
        volume = in_memory(*prepare_scan(scan, task, self.site))
        prepared = {name: volume.label[task.labels.index(name)] > 0 for name in scan.masks}
        lost = [name for name, mask in scan.masks.items() if mask.any() and not prepared[name].any()]
        content = _content(volume.image.shape[1:], prepared, volume.spacing, annotation)
        if self.scale and split == "training":
            annotated = [task.labels.index(name) for name in scan.masks]
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
