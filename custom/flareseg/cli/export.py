"""``flareseg export``: a model for other software."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from flareseg.cli.console import tell
from flareseg.report import load_record, report_facts
from flareseg.report.owner import find_model

if TYPE_CHECKING:
    from flareseg.report.schema import ReportFacts

EXAMPLES = "Examples: flareseg export RESULT -o liver · flareseg export best.pt -o liver --format torchscript"

app = typer.Typer()


@app.command(epilog=EXAMPLES)
def export(
    result: Annotated[
        Path, typer.Argument(help="Downloaded result of a job (its winner, with scores) or a model file.")
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="A folder that does not exist yet.")],
    form: Annotated[
        Literal["bundle", "torchscript", "onnx"], typer.Option("--format", help="What to write.")
    ] = "bundle",
) -> None:
    """Write a model as MONAI bundle, TorchScript or ONNX, with a card; all run without flareseg."""
    path = find_model(result)
    facts: ReportFacts | None = report_facts(load_record(result)) if result.is_dir() else None
    from flareseg.export.run import Format, export_model  # PyTorch
    from flareseg.learning.trained import load_trained

    export_model(load_trained(path), facts, output, Format(form))
    tell(f"Exported: {output}\nBefore you pass it on, fill in the model card: {_card(output)}")


def _card(folder: Path) -> Path:
    return next(folder.rglob("README.md"))
