"""What training will get of a site: cases, slices, voxels, sizes of components, and the η to be expected."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from flareseg.config.task import Task
from flareseg.data.case import SPLITS, SplitName
from flareseg.data.check.case import CaseReport, Content
from flareseg.data.faults.findings import errors

_ETA_BINS = 20


@dataclass(frozen=True)
class LabelCounts:
    """One label in one split: cases and slices that hold it, and its voxels."""

    cases: int
    slices: int
    voxels: int


@dataclass(frozen=True)
class SplitCounts:
    """One split as training gets it."""

    cases: int
    slices: int
    voxels: int
    labels: dict[str, LabelCounts]


@dataclass(frozen=True)
class ComponentSizes:
    """The components of one label over all splits, by equivalent diameter.

    Attributes:
        bound: below which a component is small, where the task sets one for the scores.
        unit: of bound and diameters, mm or px.
        small: number of components below it.
        large: number of the others.
        quantiles: 0, 25, 50, 75 and 100 % of the diameters.
        diameters: all of them, rising.
    """

    bound: float | None
    unit: str
    small: int | None
    large: int | None
    quantiles: tuple[float, ...]
    diameters: list[float]


@dataclass(frozen=True)
class Expected:
    """η of single training patches, drawn as training draws them: a batch's η is the mean of its patches'.

    Attributes:
        patches: drawn.
        mean: of η.
        raised: share of patches with η above 1.
        counts: patches in bins of equal width from 1 to 3.
    """

    patches: int
    mean: float
    raised: float
    counts: list[int]


@dataclass(frozen=True)
class Summary:
    """What training will get."""

    splits: dict[SplitName, SplitCounts]
    components: dict[str, ComponentSizes]
    eta: Expected | None


def summarize(reports: Sequence[CaseReport], task: Task | None) -> Summary:
    """Add up the cases that have no error of their own."""
    reports = [item for item in reports if not errors(item.findings)]
    splits = {
        split: _split_counts([item.content for item in reports if item.split == split and item.content])
        for split in SPLITS
    }
    contents = [item.content for item in reports if item.content]
    names = sorted({name for content in contents for name in content.diameters})
    components = {
        name: _sizes([size for content in contents for size in content.diameters.get(name, [])], name, task)
        for name in names
    }
    etas = np.array([eta for content in contents for eta in content.etas])
    eta = None
    if len(etas):
        counts = np.histogram(etas, bins=_ETA_BINS, range=(1.0, 3.0))[0].tolist()
        eta = Expected(len(etas), float(etas.mean()), float((etas > 1).mean()), counts)
    return Summary(splits, components, eta)


def _split_counts(contents: Sequence[Content]) -> SplitCounts:
    names = sorted({name for content in contents for name in content.voxels})
    return SplitCounts(
        cases=len(contents),
        slices=sum(content.shape[2] for content in contents),
        voxels=sum(int(np.prod(content.shape)) for content in contents),
        labels={
            name: LabelCounts(
                cases=sum(content.voxels[name] > 0 for content in contents),
                slices=sum(content.slices[name] for content in contents),
                voxels=sum(content.voxels[name] for content in contents),
            )
            for name in names
        },
    )


def _sizes(diameters: list[float], name: str, task: Task | None) -> ComponentSizes:
    bound = task.lesion.small if task and task.lesion and task.lesion.label == name else None
    small = None if bound is None else sum(size < bound for size in diameters)
    quantiles = np.quantile(diameters, (0, 0.25, 0.5, 0.75, 1)).tolist() if diameters else []
    return ComponentSizes(
        bound=bound,
        unit="px" if task and "RGB" in task.modalities else "mm",
        small=small,
        large=None if small is None else len(diameters) - small,
        quantiles=tuple(quantiles),
        diameters=sorted(diameters),
    )
