"""A comparison of jobs over seeds: means, spread, and differences of runs with the same seed."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import mean, stdev

from markupsafe import Markup
from pydantic import BaseModel
from rich.table import Table

from flareseg.report.figures import dot_panel
from flareseg.report.page import render, spread, write_text
from flareseg.report.schema import ReportFacts

SCORES = ("dice", "lesion_dice", "small_dice", "large_dice")
_WORDS = {"dice": "organs", "lesion_dice": "lesion", "small_dice": "small", "large_dice": "large"}


class Row(BaseModel):
    """One score of one modality: a value for each job and seed.

    Attributes:
        modality: CT, MR or RGB.
        score: one of ``SCORES``.
        values: job name to the values in the order of the seeds; None where a run has none.
    """

    modality: str
    score: str
    values: dict[str, list[float | None]]

    def mean(self, job: str) -> float | None:
        """Mean over the seeds that have a value."""
        known = [value for value in self.values[job] if value is not None]
        return mean(known) if known else None

    def difference(self, job: str, base: str) -> tuple[float, float] | None:
        """Mean and standard deviation over seeds of the difference of two jobs; the latter NaN for one seed."""
        pairs = zip(self.values[job], self.values[base], strict=True)
        gains = [one - other for one, other in pairs if one is not None and other is not None]
        return (mean(gains), stdev(gains) if len(gains) > 1 else math.nan) if gains else None


class Comparison(BaseModel):
    """Jobs compared on the same data, seed by seed; the first job is the base."""

    jobs: list[str]
    seeds: list[int]
    status: dict[str, list[str]]
    rows: list[Row]

    @classmethod
    def of(cls, runs: Mapping[str, Sequence[ReportFacts]], seeds: Sequence[int]) -> Comparison:
        """Gather the facts of all runs.

        Args:
            runs: job name to the facts of its runs, in the order of the seeds.
            seeds: the seeds.
        """
        everything = [facts for several in runs.values() for facts in several]
        modalities = sorted({modality for facts in everything for modality in facts.dice})

        def values(score: str, modality: str) -> dict[str, list[float | None]]:
            return {job: [getattr(facts, score).get(modality) for facts in several] for job, several in runs.items()}

        rows = [
            Row(modality=modality, score=score, values=values(score, modality))
            for modality in modalities
            for score in SCORES
        ]
        return cls(
            jobs=list(runs),
            seeds=list(seeds),
            status={job: [facts.status for facts in several] for job, several in runs.items()},
            rows=[row for row in rows if any(value is not None for values in row.values.values() for value in values)],
        )

    def table(self) -> Table:
        """Means of each job and differences from the first."""
        base, *others = self.jobs
        table = Table(title=f"Test Dice, mean over seeds {', '.join(map(str, self.seeds))}", title_justify="left")
        for column in ("Modality", "Score"):
            table.add_column(column)
        for job in self.jobs:
            table.add_column(job, justify="right")
        for job in others:
            table.add_column(f"{job} − {base}", justify="right")
        for row in self.rows:
            cells = [_number(row.mean(job)) for job in self.jobs]
            cells += [_gain(row.difference(job, base)) for job in others]
            table.add_row(row.modality, _WORDS[row.score], *cells)
        return table

    def write(self, folder: Path) -> Path:
        """Write ``comparison.json`` and ``comparison.html``, and give the latter's path."""
        write_text(folder / "comparison.json", self.model_dump_json(indent=1) + "\n")
        path = folder / "comparison.html"
        write_text(path, self.page())
        return path

    def page(self) -> str:
        """The page: a panel for each score with a dot for each seed, and the table."""
        base, *others = self.jobs
        return render(
            "comparison.html.j2",
            comparison=self,
            panels=[self._panel(number, row) for number, row in enumerate(self.rows)],
            others=others,
            rows=[
                (
                    f"{row.modality}, {_WORDS[row.score]}",
                    [spread(row.values[job]) for job in self.jobs],
                    [_gain(row.difference(job, base)) for job in others],
                )
                for row in self.rows
            ],
        )

    def _panel(self, number: int, row: Row) -> Markup:
        return dot_panel(f"{row.modality}, {_WORDS[row.score]}", row.values, key=f"score{number}", y_limits=(0.0, 1.0))


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _gain(value: tuple[float, float] | None) -> str:
    if value is None:
        return "–"
    spread = "" if math.isnan(value[1]) else f" ± {value[1]:.3f}"
    return f"{value[0]:+.3f}{spread}"
