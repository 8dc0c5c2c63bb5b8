"""A data check in the terminal, for people and for programs."""

from __future__ import annotations

import json
from dataclasses import asdict
from itertools import groupby

from rich.console import Group
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from flareseg.data.check.run import SiteFindings
from flareseg.data.check.summary import Summary
from flareseg.data.faults import Level
from flareseg.data.faults.findings import described, errors

_SHOWN = 8
_STYLES = {Level.ERROR: "bold red", Level.WARNING: "bold yellow"}


def findings_text(report: SiteFindings, root: str) -> Group:
    """Findings by kind, errors first; paths below the data root are shown relative to it."""
    parts: list[Text | Padding] = []
    for kind, group in groupby(report.findings, key=lambda item: item.kind):
        items = list(group)
        count = f" ({len(items)})" if len(items) > 1 else ""
        parts.append(Text.assemble((kind.level.value, _STYLES[kind.level]), f" {kind.id}{count}: {kind.meaning}"))
        rows = [described(item, root) for item in items[:_SHOWN]]
        if len(items) > _SHOWN:
            rows.append(f"and {len(items) - _SHOWN} more: --json and --html tell all.")
        parts += [Padding(Text(row), (0, 0, 0, 4)) for row in rows]
        parts.append(Padding(Text(f"→ {kind.remedy}", style="italic"), (0, 0, 1, 2)))
    wrong = len(errors(report.findings))
    counts = f"{len(report.cases)} cases: {wrong} errors, {len(report.findings) - wrong} warnings"
    counts += f"; {report.excluded} excluded" if report.excluded else ""
    counts += f"; training leaves {report.left_out} out" if report.left_out else ""
    parts.append(Text(f"{counts}."))
    return Group(*parts)


def summary_tables(summary: Summary) -> Group:
    """What training gets."""
    labels = sorted({name for counts in summary.splits.values() for name in counts.labels})
    table = Table(title="What training gets", title_justify="left", caption="Labels: voxels (cases, axial slices)")
    table.add_column("Split")
    for heading in ("Cases", "Slices", "Voxels", *labels):
        table.add_column(Text(heading), justify="right")
    for split, counts in summary.splits.items():
        held = [counts.labels.get(name) for name in labels]
        table.add_row(
            split,
            str(counts.cases),
            f"{counts.slices:,}",
            f"{counts.voxels:,}",
            *("–" if item is None else f"{item.voxels:,} ({item.cases}, {item.slices:,})" for item in held),
        )
    lines = []
    for name, sizes in summary.components.items():
        text = f"Components of {name}: {len(sizes.diameters)}"
        if sizes.diameters:
            text += f", equivalent diameter {sizes.quantiles[0]:.1f} to {sizes.quantiles[4]:.1f} {sizes.unit}"
            text += f", median {sizes.quantiles[2]:.1f}"
        if sizes.bound is not None:
            text += f"; {sizes.small} small (below {sizes.bound:g} {sizes.unit}), {sizes.large} large"
        lines.append(Text(f"{text}."))
    if summary.eta:
        eta = summary.eta
        lines.append(Text(f"η of a training patch: mean {eta.mean:.2f}, above 1 in {eta.raised:.0%} of {eta.patches}."))
    return Group(table, *lines)


def check_json(report: SiteFindings, summary: Summary) -> str:
    """All of it for programs; it names cases, so it stays at the site."""
    wrong = errors(report.findings)
    content = {
        "errors": len(wrong),
        "warnings": len(report.findings) - len(wrong),
        "excluded": report.excluded,
        "left_out": report.left_out,
        "findings": [item.as_dict() for item in report.findings],
        "summary": asdict(summary),
        "cases": [
            {"case": case.name, "split": case.split, "content": None if case.content is None else asdict(case.content)}
            for case in report.cases
        ],
    }
    return json.dumps(content, indent=2)
