"""``flareseg evaluate``: a model judged on a site's own images, without joining a federation."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.table import Table

from flareseg.cli.console import console, tell
from flareseg.config.site import check_site_fits, load_site
from flareseg.data.case import SPLITS
from flareseg.files import sha256_of
from flareseg.record.bundle_file import weights_file
from flareseg.report.owner import find_model
from flareseg.report.page import spread

if TYPE_CHECKING:
    from flareseg.learning.evaluation import SiteScores

EXAMPLES = (
    "Examples: flareseg evaluate best.pt site.yaml -o judged · flareseg evaluate BUNDLE site.yaml -o judged --split all"
)

app = typer.Typer()


@app.command(epilog=EXAMPLES)
def evaluate(
    model: Annotated[
        Path,
        typer.Argument(help="A model file (.pt), a downloaded result (its winner), or a bundle of flareseg export."),
    ],
    site_file: Annotated[Path, typer.Argument(metavar="SITE_YAML", help="The site's settings.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the results.")],
    split: Annotated[
        Literal["training", "validation", "testing", "all"] | None,
        typer.Option(help="Which cases; if not given testing, or validation where there is no testing."),
    ] = None,
    name: Annotated[str, typer.Option(help="The site's name, for its page.")] = "evaluation",
) -> None:
    """Score a model on a site's labelled images: numbers to hand on, a page and a table that stay."""
    path, site = find_model(model), load_site(site_file)
    # PyTorch takes seconds to import: a slip in the command is found before.
    from flareseg.inference.evaluate import evaluate_model
    from flareseg.learning.trained import load_trained

    trained = load_trained(path)
    check_site_fits(site, trained.task, site_file)
    splits = SPLITS if split == "all" else None if split is None else (split,)
    with console.status("scoring"):
        judged = evaluate_model(
            trained, site, output, digest=sha256_of(weights_file(path)), name=name, splits=splits, warn=tell
        )
    console.print(_table(judged.evaluation, trained.task.name))
    tell(
        f"Page:    {judged.page} (images: keep it at the site)\n"
        f"Cases:   {judged.cases} (names of cases: keep it at the site)\n"
        f"Numbers: {judged.scores} (means only: may be handed on)"
    )


def _table(evaluation: SiteScores, task: str) -> Table:
    table = Table(title=f"{task}: Dice on {len(evaluation.cases)} {' and '.join(evaluation.splits)} volumes")
    for column in ("Score", "Mean", "Lowest", "Highest"):
        table.add_column(column, justify="left" if column == "Score" else "right", overflow="fold")
    for score, values in evaluation.by_score.items():
        ends = (f"{min(values):.3f}", f"{max(values):.3f}") if values else ("–", "–")
        table.add_row(score, spread(values), *ends)
    return table
