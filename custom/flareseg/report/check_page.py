"""The page of a data check: findings, what training gets, and every case with outlines and a histogram."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
from markupsafe import Markup

from flareseg.config.site import Site
from flareseg.config.task import Task
from flareseg.data.annotation import Annotation
from flareseg.data.check.case import CaseReport
from flareseg.data.check.run import SiteFindings
from flareseg.data.check.summary import Summary
from flareseg.data.faults.findings import Finding, described, errors
from flareseg.data.reader import Scan
from flareseg.report.overlays import LABEL_COLORS, informative_slices, png_address, slice_picture
from flareseg.report.page import render, write_text

_SLICES, _PIXELS = 3, 200
_BINS, _INNER = 64, (0.05, 99.95)
_DIAMETER_BINS = 24


@dataclass(frozen=True)
class CasePicture:
    """What the page shows of a case: slices (number, PNG) and the histogram of its intensities."""

    slices: list[tuple[int, str]]
    histogram: Markup


def draw_case(scan: Scan, window: tuple[float, float] | None) -> CasePicture:
    """Draw a case: the largest slices of its labels with outlines, and its intensities with the task's window."""
    image = scan.image if scan.is_frame else scan.image[:1]
    masks = np.stack(list(scan.masks.values())) if scan.masks else np.zeros((1, *image.shape[1:]), bool)
    low, high = np.percentile(image, _INNER)
    shown = (0.0, 255.0) if scan.is_frame else window or (float(low), float(high))
    slices = [
        (
            number,
            png_address(
                slice_picture(image[..., number], scan.spacing, masks[..., number], window=shown, pixels=_PIXELS)
            ),
        )
        for number in _slices(masks)
    ]
    counts, edges = np.histogram(image, bins=_BINS, range=(float(low), float(max(high, low + 1e-6))))
    name = "Intensities" if window is None else "Intensities; the lines are the task's window"
    return CasePicture(slices, histogram(np.sqrt(counts), edges, name, marks=window or ()))


def _slices(masks: np.ndarray) -> list[int]:
    """The largest slice of each label, rarest first; then those at a quarter and three quarters of what is labelled."""
    chosen = informative_slices(masks, masks, _SLICES)
    held = np.flatnonzero(masks.any(axis=(0, 1, 2)))
    extent = held if len(held) else np.arange(masks.shape[3])
    for number in (int(extent[len(extent) // 4]), int(extent[len(extent) * 3 // 4])):
        if len(chosen) < _SLICES and all(abs(number - other) > 1 for other in chosen):
            chosen.append(number)
    return sorted(chosen)


def histogram(heights: np.ndarray, edges: np.ndarray, name: str, marks: tuple[float, ...] = ()) -> Markup:
    """Draw bars as SVG with the range written below.

    Args:
        heights: (N,) of the bars, in any unit.
        edges: (N + 1,) of the bins.
        name: read out, and shown on hovering.
        marks: values marked by a line where they lie within the range.
    """
    width, height = 200.0, 120.0
    top, step = max(float(heights.max()), 1e-9), width / len(heights)
    bars = "".join(
        f"M{number * step:.1f} {height}v-{value / top * height:.1f}h{step:.2f}v{value / top * height:.1f}z"
        for number, value in enumerate(heights)
        if value
    )
    low, high = float(edges[0]), float(edges[-1])
    lines = "".join(f"M{(mark - low) / (high - low) * width:.1f} 0v{height}" for mark in marks if low < mark < high)
    return Markup(
        '<svg class="histogram" viewBox="0 0 200 137" role="img" aria-label="{name}"><title>{name}</title>'
        '<path d="{bars}" class="bars"/><path d="{lines}" class="marks"/><path d="M0 120h200" class="axis"/>'
        '<text x="0" y="134">{low}</text><text x="200" y="134" text-anchor="end">{high}</text></svg>'
    ).format(name=name, bars=bars, lines=lines, low=_short(low), high=_short(high))


def _short(value: float) -> str:
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


def write_check_page(
    path: Path, site: Site, site_file: Path, task: Task | None, report: SiteFindings, summary: Summary
) -> None:
    """Write the page; it shows images and names of cases, so it stays at the site."""
    names = list(Annotation.of(site, task).values)
    numbers = {case.name: number for number, case in enumerate(report.cases)}
    groups = [
        {"kind": kind, "findings": [(item, numbers.get(item.case or "")) for item in items]}
        for kind, items in ((kind, list(group)) for kind, group in groupby(report.findings, key=lambda item: item.kind))
    ]
    wrong = len(errors(report.findings))
    text = render(
        "check.html.j2",
        site=site,
        site_file=site_file,
        title=site_file.parent.parent.name if site_file.parent.name == "local" else site_file.parent.name,
        task=task,
        errors=wrong,
        warnings=len(report.findings) - wrong,
        groups=groups,
        labels=names,
        colors=[LABEL_COLORS[index % len(LABEL_COLORS)] for index in range(len(names))],
        unannotated=sorted(set(task.labels if task else site.labels) - set(names)),
        summary=summary,
        components=[
            (name, sizes, _diameters(sizes.diameters, sizes.bound)) for name, sizes in summary.components.items()
        ],
        eta=None if summary.eta is None else _etas(summary.eta.counts),
        cases=sorted((_shown(case, report.findings, numbers[case.name]) for case in report.cases), key=_worst_first),
        root=f"{site.data.root}/",
        described=lambda finding: described(finding, f"{site.data.root}/"),
    )
    write_text(path, text)


def _diameters(diameters: list[float], bound: float | None) -> Markup | None:
    if not diameters:
        return None
    counts, edges = np.histogram(diameters, bins=_DIAMETER_BINS, range=(0, max(*diameters, (bound or 0) * 1.2, 1e-6)))
    return histogram(counts, edges, "Targets by equivalent diameter", marks=(bound,) if bound else ())


def _etas(counts: list[int]) -> Markup:
    return histogram(np.sqrt(counts), np.linspace(1, 3, len(counts) + 1), "Patches by η, square root")


def _shown(case: CaseReport, findings: list[Finding], number: int) -> dict[str, Any]:
    own = [item for item in findings if item.case == case.name]
    return {"report": case, "number": number, "findings": own, "errors": len(errors(own))}


def _worst_first(case: dict[str, Any]) -> tuple[bool, bool, int]:
    return not case["errors"], not case["findings"], case["number"]
