"""Chart panels as inline SVG: small, one subject each, so that they stack on a narrow screen."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import mean
from typing import Any

import matplotlib as mpl
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

SITE_COLORS = ("#0a62b0", "#c2490a", "#0e7a52", "#7b3fb5", "#a3195b", "#5c6b00", "#00758a", "#6b4a2f")
SMALL_COLOR, LARGE_COLOR = "#a3195b", "#0a62b0"
WORK_COLOR, OVERHEAD_COLOR = "#7fa8cf", "#c2490a"
SENT_COLOR, RECEIVED_COLOR = "#5b7f9f", "#b3c7d9"
INK, GRID = "#3d4852", "#e3e7eb"

_STYLE: Any = {
    "svg.fonttype": "none",  # text stays text: the page's own font, searchable, small
    "font.size": 9.5,
    "text.color": INK,
    "axes.edgecolor": "#b8c1ca",
    "axes.labelcolor": INK,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.axisbelow": True,
    "grid.color": GRID,
    "grid.linewidth": 0.8,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.major.size": 3,
    "ytick.major.size": 0,
}
_SIZE, _WIDE = (3.5, 2.15), (4.8, 2.2)  # inches: three or two in a row, with text of one size
_FEW_POINTS = 12


@dataclass(frozen=True)
class Trace:
    """A line or a layer of bars; None in ``y`` leaves a gap."""

    name: str
    color: str
    x: Sequence[float]
    y: Sequence[float | None]
    dashed: bool = False


def line_panel(
    title: str,
    series: Sequence[Trace],
    *,
    key: str,
    x_label: str,
    x_limit: float,
    y_limits: tuple[float, float] | None = None,
    wide: bool = False,
) -> Markup:
    """Draw lines over rounds.

    Args:
        title: shown above and read out.
        series: the lines; their legend is the page's.
        key: unique in the page; keeps the SVG's inner names apart.
        x_label: unit of the x axis.
        x_limit: last value of the x axis, the same for panels side by side.
        y_limits: fixed range, else chosen by the values.
        wide: for rows of two panels instead of three.
    """
    with mpl.rc_context(_STYLE):
        figure, axes = _panel(title, x_label, wide)
        for line in series:
            values = [float("nan") if value is None else value for value in line.y]
            axes.plot(
                line.x,
                values,
                color=line.color,
                linewidth=1.7,
                linestyle=(0, (4, 1.6)) if line.dashed else "-",
                marker="o" if len(line.x) <= _FEW_POINTS else None,
                markersize=3.5,
                clip_on=False,
            )
        axes.set_xlim(0, max(x_limit, 1))
        if y_limits:
            axes.set_ylim(*y_limits)
        else:
            axes.margins(y=0.12)
        return _svg(figure, title, series, key)


def bar_panel(title: str, layers: Sequence[Trace], *, key: str, x_label: str, y_label: str) -> Markup:
    """Draw stacked bars over rounds, for rows of two panels; see :func:`line_panel` for the arguments."""
    with mpl.rc_context(_STYLE):
        figure, axes = _panel(title, x_label, wide=True)
        base = [0.0] * max((len(layer.x) for layer in layers), default=0)
        for layer in layers:
            heights = [value or 0.0 for value in layer.y]
            axes.bar(layer.x, heights, bottom=base, color=layer.color, width=0.8)
            base = [below + height for below, height in zip(base, heights, strict=True)]
        axes.set_ylabel(y_label)
        axes.yaxis.set_major_locator(MaxNLocator(nbins=5))
        return _svg(figure, title, layers, key)


def dot_panel(
    title: str, values: Mapping[str, Sequence[float | None]], *, key: str, y_limits: tuple[float, float]
) -> Markup:
    """Draw every value as a dot and each group's mean as a line; see :func:`line_panel` for the arguments.

    Args:
        title: shown above and read out.
        values: name of a group to its values; one that is not known is left out, never drawn as zero.
        key: unique in the page.
        y_limits: range of the values.
    """
    with mpl.rc_context(_STYLE):
        figure, axes = _panel(title, "", wide=False)
        for place, (name, group) in enumerate(values.items()):
            known = [value for value in group if value is not None]
            color = SITE_COLORS[place % len(SITE_COLORS)]
            axes.plot(
                [place] * len(known), known, "o", color=color, markersize=5, alpha=0.75, clip_on=False, label=name
            )
            if known:
                axes.hlines(mean(known), place - 0.25, place + 0.25, color=color, linewidth=1.7)
        axes.set_xticks(range(len(values)), list(values), parse_math=False)
        axes.set_xlim(-0.5, len(values) - 0.5)
        axes.set_ylim(*y_limits)
        return _svg(figure, title, [Trace(name, "", (), ()) for name in values], key)


@dataclass(frozen=True)
class Histogram:
    """Heights between edges, one more edge than heights."""

    name: str
    color: str
    edges: Sequence[float]
    heights: Sequence[float]


def histogram_panel(title: str, histograms: Sequence[Histogram], *, key: str, x_label: str, y_label: str) -> Markup:
    """Draw the outlines of histograms over each other; see :func:`line_panel` for the arguments."""
    with mpl.rc_context(_STYLE):
        figure, axes = _panel(title, x_label, wide=False)
        for item in histograms:
            axes.stairs(item.heights, item.edges, color=item.color, linewidth=1.7)
        axes.set_ylabel(y_label)
        axes.set_ylim(bottom=0)
        return _svg(figure, title, histograms, key)


def _panel(title: str, x_label: str, wide: bool) -> tuple[Figure, Axes]:
    figure = Figure(figsize=_WIDE if wide else _SIZE, layout="constrained")
    axes = figure.add_subplot()
    axes.set_title(title, loc="left", fontsize=10.5, fontweight="bold", parse_math=False)
    axes.set_xlabel(x_label)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))
    return figure, axes


def _svg(figure: Figure, title: str, series: Sequence[Trace] | Sequence[Histogram], key: str) -> Markup:
    stream = io.StringIO()
    with mpl.rc_context({"svg.hashsalt": key}):
        FigureCanvasSVG(figure).print_svg(
            stream, metadata={"Date": None, "Creator": None, "Format": None, "Type": None}
        )
    drawing = stream.getvalue()
    drawing = drawing[drawing.index("<svg") :]
    drawing = re.sub(r'\sxmlns(:\w+)?="[^"]*"', "", drawing)  # of no use inside HTML
    drawing = re.sub(r'\bid="', f'id="{key}-', drawing)
    drawing = drawing.replace("url(#", f"url(#{key}-").replace('href="#', f'href="#{key}-')
    label = Markup('role="img" aria-label="{}"').format(f"{title}: {', '.join(item.name for item in series)}")
    return Markup(drawing.replace("<svg ", f"<svg {label} ", 1))
