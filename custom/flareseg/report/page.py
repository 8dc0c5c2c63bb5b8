"""Rendering of pages that open offline, and writing of files that appear whole or not at all."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from flareseg.files import replacing


def render(template: str, **values: Any) -> str:
    """Fill in one of the templates beside this file; every value is escaped unless it is Markup."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        dice=dice, spread=spread, seconds=seconds, megabytes=megabytes, names=names, number=number
    )
    return environment.get_template(template).render(**values)


def write_text(path: Path, text: str) -> None:
    """Write a file atomically, with the user's usual permissions; folders are made as needed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as stream:
        stream.write(text.encode(errors="backslashreplace"))  # a path that is not UTF-8


def dice(value: float | None) -> str:
    """Three decimals, or a dash where nothing was scored."""
    return "–" if value is None else f"{value:.3f}"


def spread(values: Iterable[float | None]) -> str:
    """Mean, standard deviation, and how many values are known; a dash where none is.

    >>> spread([0.5, None, 0.7]), spread([0.5]), spread([])
    ('0.600 ± 0.141 (n = 2)', '0.500 (n = 1)', '–')
    """
    known = [value for value in values if value is not None]
    if not known:
        return "–"
    deviation = f" ± {stdev(known):.3f}" if len(known) > 1 else ""
    return f"{mean(known):.3f}{deviation} (n = {len(known)})"


def seconds(value: float | None) -> str:
    """A duration in the unit that suits it."""
    if value is None:
        return "–"
    if value < 60:
        return f"{value:.2f} s" if value < 10 else f"{value:.0f} s"
    minutes, rest = divmod(round(value), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s"


def megabytes(value: float) -> str:
    """Bytes as MB (10^6)."""
    return f"{value / 1e6:.1f} MB"


def number(value: float | None) -> str:
    """A count or a size with a few digits, thousands apart, or a dash."""
    if value is None:
        return "–"
    return f"{value:.3g}" if abs(value) < 100 and value != round(value) else f"{value:,.0f}"


def names(values: Iterable[str]) -> str:
    """Names joined by commas, or a dash."""
    return ", ".join(values) or "–"
