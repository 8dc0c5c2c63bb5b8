"""The report of an experiment: a page, a table for other programs, and tables for the terminal."""

from __future__ import annotations

import csv
import io
from pathlib import Path

from pydantic import BaseModel
from rich.table import Table

from flareseg.errors import SettingsError
from flareseg.experiment.plan import Experiment
from flareseg.experiment.result import CellResult, load_cell
from flareseg.experiment.statistics import Estimate, EstimateRow, rows_of
from flareseg.report.figures import dot_panel
from flareseg.report.page import render, write_text


class ExperimentReport(BaseModel):
    """What the results of an experiment say so far.

    Attributes:
        experiment: its plan.
        cells: the results that are there.
        missing: file names of the others.
        rows: means and differences.
    """

    experiment: Experiment
    cells: list[CellResult]
    missing: list[str]
    rows: list[EstimateRow]

    @classmethod
    def of(cls, experiment: Experiment, results: Path) -> ExperimentReport:
        """Read the results.

        Raises:
            SettingsError: there is none, or a file is no result.
        """
        folder = results / experiment.name
        paths = {cell.file: folder / cell.file for cell in experiment.cells()}
        cells = [load_cell(path) for path in paths.values() if path.is_file()]
        if not cells:
            raise SettingsError(f"{folder}: no result of {experiment.name}.", "flareseg experiment run makes them.")
        return cls(
            experiment=experiment,
            cells=cells,
            missing=[name for name, path in paths.items() if not path.is_file()],
            rows=rows_of(cells, list(experiment.arms), experiment.differences),
        )

    def write(self, folder: Path) -> tuple[Path, Path]:
        """Write ``NAME.html`` and ``NAME.csv``, and give their paths."""
        page, table = (folder / f"{self.experiment.name}.{ending}" for ending in ("html", "csv"))
        write_text(page, self.page())
        write_text(table, self.csv())
        return page, table

    def tables(self) -> list[Table]:
        """Means of all arms, then differences, of each data set."""
        found = []
        for data in dict.fromkeys(row.data for row in self.rows):
            rows = [row for row in self.rows if row.data == data]
            for title, names, of in (
                ("test Dice", list(self.experiment.arms), "arms"),
                ("differences", list(rows[0].differences), "differences"),
            ):
                table = Table(title=f"{self.experiment.name}, {data}: {title}", title_justify="left")
                table.add_column("")
                for row in rows:
                    table.add_column(f"{row.modality} {row.score}", justify="right")
                for name in names:
                    table.add_row(name, *(in_words(getattr(row, of)[name], signed=of != "arms") for row in rows))
                found.append(table)
        return [table for table in found if table.row_count]

    def csv(self) -> str:
        """One line for each estimate."""
        stream = io.StringIO()
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(["data", "modality", "score", "kind", "name", "mean", "low", "high", "seeds", "cases"])
        for row in self.rows:
            for kind, several in (("arm", row.arms), ("difference", row.differences)):
                for name, item in several.items():
                    if item is not None:
                        numbers = [f"{value:.4f}" for value in (item.mean, item.low, item.high)]
                        writer.writerow(
                            [row.data, row.modality, row.score, kind, name, *numbers, item.seeds, item.cases]
                        )
        return stream.getvalue()

    def page(self) -> str:
        """The page: for each score a panel with a dot for each seed, then the tables."""
        panels = [
            dot_panel(
                f"{row.data}: {row.modality}, {row.score}",
                {name: item.by_seed if item else [] for name, item in row.arms.items()},
                key=f"score{number}",
                y_limits=(0.0, 1.0),
            )
            for number, row in enumerate(self.rows)
        ]
        return render(
            "experiment.html.j2",
            experiment=self.experiment,
            panels=panels,
            rows=self.rows,
            in_words=in_words,
            differences=list(self.rows[0].differences),
            comparisons=sum(1 for row in self.rows for item in row.differences.values() if item),
            missing=self.missing,
            minutes=sum(cell.processor_seconds for cell in self.cells) / 60,
            commits=sorted({cell.commit or "unknown" for cell in self.cells}),
            runs=len(self.cells),
        )


def in_words(item: Estimate | None, *, signed: bool = False) -> str:
    """Mean and interval with three decimals, or a dash."""
    if item is None:
        return "–"
    form = "+.3f" if signed else ".3f"
    return f"{item.mean:{form}} [{item.low:{form}}, {item.high:{form}}]"
