"""The lead's report: one HTML file that opens offline, and the same facts as JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from markupsafe import Markup

from flareseg.files import sha256_of
from flareseg.record.run import RunRecord
from flareseg.report.facts import report_facts
from flareseg.report.figures import (
    LARGE_COLOR,
    OVERHEAD_COLOR,
    RECEIVED_COLOR,
    SENT_COLOR,
    SITE_COLORS,
    SMALL_COLOR,
    WORK_COLOR,
    Trace,
    bar_panel,
    line_panel,
)
from flareseg.report.page import render, write_text
from flareseg.report.participation import rounds_in_words
from flareseg.report.schema import ModelFile, ReportFacts, SiteCurves

DICE_RANGE = (0.0, 1.0)


@dataclass(frozen=True)
class Key:
    """An entry of a legend."""

    name: str
    color: str
    kind: str = ""


def write_report(
    record: RunRecord, folder: Path, *, links: Sequence[tuple[str, str]] = (), model: Path | None = None
) -> tuple[Path, Path]:
    """Write ``report.html`` and ``report.json``, each whole or not at all.

    Args:
        record: the run.
        folder: where the two files go; made when missing.
        links: label and relative address of pages to link, such as those of the sites.
        model: file of the final model, to be named with its SHA-256.

    Returns:
        The paths of the HTML and of the JSON file.

    Raises:
        SettingsError: the record holds a task that this version cannot read.
    """
    facts = report_facts(record)
    if model is not None:
        facts = facts.model_copy(update={"model_file": ModelFile(path=str(model.resolve()), sha256=sha256_of(model))})
    page, data = folder / "report.html", folder / "report.json"
    write_text(data, facts.to_json())
    write_text(page, report_page(facts, links))
    return page, data


def report_page(facts: ReportFacts, links: Sequence[tuple[str, str]] = ()) -> str:
    """Fill in the page."""
    styles = site_styles(facts.sites)
    return render(
        "report.html.j2",
        facts=facts,
        links=links,
        site_legend=[Key(f"{site} ({facts.sites[site]})", color, kind) for site, (color, kind) in styles.items()],
        dice_panels=_dice_panels(facts, styles),
        wide_dice=_wide_dice(facts),
        size_panels=_size_panels(facts),
        loss_panels=_loss_panels(facts, styles),
        scale_panels=_scale_panels(facts, styles),
        cost_panels=_cost_panels(facts),
        size_legend=[Key("small lesions", SMALL_COLOR), Key("large lesions", LARGE_COLOR, "dashed")],
        cost_legend=[
            Key("longest executor time", WORK_COLOR, "fill"),
            Key("overhead", OVERHEAD_COLOR, "fill"),
            Key("bytes sent", SENT_COLOR, "fill"),
            Key("bytes received", RECEIVED_COLOR, "fill"),
        ],
        rounds_in_words=rounds_in_words,
        task_json=json.dumps(facts.task, indent=2, ensure_ascii=False),
    )


def site_styles(sites: dict[str, str]) -> dict[str, tuple[str, str]]:
    """Give each site a colour, and MR a dashed line: the two differ without colour, too."""
    return {
        site: (SITE_COLORS[number % len(SITE_COLORS)], "dashed" if modality == "MR" else "")
        for number, (site, modality) in enumerate(sites.items())
    }


def _score_series(curves: SiteCurves, name: str, style: tuple[str, str], values: Sequence[float | None]) -> Trace:
    return Trace(name, style[0], [point.rounds_done for point in curves.scores], values, style[1] == "dashed")


def _dice_panels(facts: ReportFacts, styles: dict[str, tuple[str, str]]) -> list[Markup]:
    panels = []
    for number, label in enumerate(facts.labels):
        series = [
            _score_series(curves, site, styles[site], [point.dice.get(label) for point in curves.scores])
            for site, curves in facts.curves.items()
        ]
        panels.append(
            line_panel(
                label,
                _drawable(series),
                key=f"dice{number}",
                x_label="rounds done",
                x_limit=facts.rounds_planned,
                y_limits=DICE_RANGE,
                wide=_wide_dice(facts),
            )
        )
    return panels if any(curves.scores for curves in facts.curves.values()) else []


def _wide_dice(facts: ReportFacts) -> bool:
    return len(facts.labels) in (2, 4)


def _size_panels(facts: ReportFacts) -> list[Markup]:
    panels = []
    for number, (site, curves) in enumerate(facts.curves.items()):
        series = _drawable(
            [
                _score_series(curves, "small", (SMALL_COLOR, ""), [point.small for point in curves.scores]),
                _score_series(curves, "large", (LARGE_COLOR, "dashed"), [point.large for point in curves.scores]),
            ]
        )
        if series:
            panels.append(
                line_panel(
                    f"{site} ({facts.sites[site]})",
                    series,
                    key=f"size{number}",
                    x_label="rounds done",
                    x_limit=facts.rounds_planned,
                    y_limits=DICE_RANGE,
                )
            )
    return panels


def _loss_panels(facts: ReportFacts, styles: dict[str, tuple[str, str]]) -> list[Markup]:
    validation = [
        _score_series(curves, site, styles[site], [point.loss for point in curves.scores])
        for site, curves in facts.curves.items()
    ]
    panels = []
    for title, key, x_label, series in (
        ("training loss", "train", "rounds done", _training_series(facts, styles, "loss")),
        ("validation loss", "valid", "rounds done", validation),
    ):
        if drawable := _drawable(series):
            panels.append(line_panel(title, drawable, key=key, x_label=x_label, x_limit=facts.rounds_planned))
    return panels


def _scale_panels(facts: ReportFacts, styles: dict[str, tuple[str, str]]) -> list[Markup]:
    series = _drawable(_training_series(facts, styles, "mean_scale"))
    if facts.task.get("fedgs") is None or not series:
        return []
    return [line_panel("mean η", series, key="scale", x_label="rounds done", x_limit=facts.rounds_planned)]


def _training_series(facts: ReportFacts, styles: dict[str, tuple[str, str]], field: str) -> list[Trace]:
    return [
        Trace(
            site,
            styles[site][0],
            [point.round + 1 for point in curves.training],
            [getattr(point, field) for point in curves.training],
            styles[site][1] == "dashed",
        )
        for site, curves in facts.curves.items()
    ]


def _cost_panels(facts: ReportFacts) -> list[Markup]:
    closed = [item for item in facts.rounds if item.closed]
    if not closed:
        return []
    x = [item.round + 1 for item in closed]
    work = [item.seconds - (item.overhead_seconds or 0.0) for item in closed]
    return [
        bar_panel(
            "seconds in a round",
            [
                Trace("longest executor time", WORK_COLOR, x, work),
                Trace("overhead", OVERHEAD_COLOR, x, [item.overhead_seconds for item in closed]),
            ],
            key="seconds",
            x_label="rounds done",
            y_label="s",
        ),
        bar_panel(
            "model bytes in a round",
            [
                Trace("sent", SENT_COLOR, x, [item.bytes_sent / 1e6 for item in closed]),
                Trace("received", RECEIVED_COLOR, x, [item.bytes_received / 1e6 for item in closed]),
            ],
            key="bytes",
            x_label="rounds done",
            y_label="MB",
        ),
    ]


def _drawable(series: Sequence[Trace]) -> list[Trace]:
    return [line for line in series if any(value is not None for value in line.y)]
