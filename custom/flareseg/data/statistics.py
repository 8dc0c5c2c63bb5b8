"""What a site's data is like, in numbers by patient: sizes of labels and of their components, intensities."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np

from flareseg.config.site import Site
from flareseg.config.task import Task
from flareseg.data.case import Case
from flareseg.data.lesion_size import component_diameters
from flareseg.data.reader import read_scan
from flareseg.errors import DataError

INTENSITY_SAMPLES = 4096
"""Voxels of each image, evenly spaced in memory order."""

_ML = 1000.0


def feature_name(modality: str, subject: str) -> str:
    """The name of a feature: sites of one modality share it, so that they can be compared and summed."""
    return f"{modality} {subject}"


def measure(case: Case, task: Task, site: Site) -> Iterator[tuple[str, list[float], bool]]:
    """Measure one case.

    Yields:
        The name of a feature, the case's values, and whether many of them describe one patient together (intensities,
        sizes of components) instead of one each.

    Raises:
        DataError: the case cannot be read.
    """
    unit = "px" if site.modality == "RGB" else "mm"
    scan = read_scan(case, site, task, task.resize)
    values, spacing = scan.image.mean(axis=0) if site.modality == "RGB" else scan.image[0], scan.grid.spacing
    yield "cases", [1.0], False
    picks = np.linspace(0, values.size - 1, min(values.size, INTENSITY_SAMPLES)).round().astype(int)
    yield "intensity", values.ravel()[picks].astype(float).tolist(), True
    for name, mask in scan.masks.items():
        voxels = float(mask.sum(dtype=np.int64))
        yield f"{name} voxels", [voxels], False
        if unit == "mm":
            yield f"{name} ml", [voxels * float(spacing.prod()) / _ML], False
        if task.lesion is not None and name == task.lesion.label:
            diameters = component_diameters(mask.astype(np.uint8), spacing)
            yield "components", [float(len(diameters))], False
            if len(diameters):
                yield f"component {unit}", diameters.tolist(), True


@dataclass
class Feature:
    """One feature of a site.

    Attributes:
        together: the values of a patient describe it together: in sums it counts by its mean, in a histogram by one.
        values: of each patient.
    """

    together: bool
    values: dict[str, list[float]] = field(default_factory=dict)

    @property
    def patients(self) -> int:
        """Number of patients that have the feature."""
        return len(self.values)

    def total(self) -> float:
        """Sum over all values, or over the patients' means where values count together."""
        return float(sum(np.mean(own) if self.together else np.sum(own) for own in self.values.values()))

    def range(self) -> tuple[float, float]:
        """Least and greatest of the patients' own 1st and 99th percentiles: no single voxel is disclosed."""
        ends = np.array([np.percentile(own, (1, 99)) for own in self.values.values()])
        return float(ends[:, 0].min()), float(ends[:, 1].max())

    def histogram(self, bins: int, low: float, high: float) -> list[tuple[float, float, float]]:
        """Bins of equal width as (low, high, count); what lies outside counts in the first or the last."""
        edges = np.linspace(low, high, bins + 1)
        counts = np.zeros(bins)
        for own in self.values.values():
            found = np.histogram(np.clip(own, low, high), edges)[0].astype(float)
            counts += found / len(own) if self.together else found
        return [(float(a), float(b), float(n)) for a, b, n in zip(edges[:-1], edges[1:], counts, strict=True)]


def site_features(cases: Iterable[Case], task: Task, site: Site) -> dict[str, Feature]:
    """Measure a site.

    Args:
        cases: its cases; those of one patient count as one record.
        task: names the labels and the small target.
        site: modality, label values and scale.

    Returns:
        Features by name.

    Raises:
        DataError: a case cannot be read, and the site does not leave such out.
    """
    features: dict[str, Feature] = {}
    for case in cases:
        patient = case.patient or case.name
        try:
            measured = list(measure(case, task, site))
        except DataError:
            if site.data.on_bad_case == "stop":
                raise
            continue
        for subject, values, together in measured:
            feature = features.setdefault(feature_name(site.modality, subject), Feature(together))
            feature.values.setdefault(patient, []).extend(values)
    return features
