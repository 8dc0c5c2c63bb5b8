"""``flareseg predict``: a model applied to images."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from flareseg.cli.console import console, error_console, tell
from flareseg.config.task import Modality
from flareseg.errors import ExitCode

EXAMPLES = (
    "Examples: flareseg predict best.pt ct.nii.gz -o out · flareseg predict RESULT dicom/ -o out --preview · "
    "flareseg predict best.pt datalist.json -o out --flips --largest"
)

app = typer.Typer()


@app.command(epilog=EXAMPLES)
def predict(
    model: Annotated[Path, typer.Argument(help="A model file (.pt), or the downloaded result of a job: its winner.")],
    images: Annotated[
        list[Path], typer.Argument(help="NIfTI, PNG or JPEG files, folders, folders of DICOM series, MONAI datalists.")
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the results.")],
    modality: Annotated[
        Modality | None, typer.Option(help="What the images are, where no DICOM header says it.")
    ] = None,
    slope: Annotated[float, typer.Option(help="Stored values times this are HU or raw MR values.")] = 1.0,
    intercept: Annotated[float, typer.Option(help="And this is added.")] = 0.0,
    per_label: Annotated[bool, typer.Option(help="One file for each label in place of one label map.")] = False,
    probabilities: Annotated[bool, typer.Option(help="Write each label's probability too, 0 to 255.")] = False,
    largest: Annotated[bool, typer.Option(help="Keep the largest component of each organ.")] = False,
    fill: Annotated[bool, typer.Option(help="Fill holes of each label.")] = False,
    flips: Annotated[bool, typer.Option(help="Average over mirror images; their agreement is the sign.")] = False,
    preview: Annotated[bool, typer.Option(help="Write a picture of each case.")] = False,
    device: Annotated[str, typer.Option(help="cpu, cuda, or auto.")] = "auto",
) -> None:
    """Segment images with a trained model: label maps on each image's own grid, volumes, and a sign of quality."""
    from flareseg.inference.inputs import find_inputs
    from flareseg.report.owner import find_model

    path, inputs = find_model(model), find_inputs(images)
    # PyTorch takes seconds to import: a slip in the command is found before.
    from flareseg.inference.run import Wishes, predict
    from flareseg.learning.trained import device_of, load_trained

    trained = load_trained(path)
    trained.network.to(device_of(device))
    wishes = Wishes(modality, slope, intercept, per_label, probabilities, largest, fill, flips, preview)
    with console.status("reading") as status:
        result = predict(trained, inputs, output, wishes, lambda source: status.update(source.name))
    unit = "pixels" if trained.task.in_channels == 3 else "ml"
    table = Table(title=f"{trained.task.name}: {len(result.done)} of {len(inputs)} images")
    for column in ("Case", "Modality", *(f"{label} ({unit})" for label in trained.task.labels)):
        table.add_column(column, overflow="fold")
    for image, found in result.done:
        sizes = [f"{item.size:,.1f}" if item.components else "–" for item in found]
        table.add_row(image.source.name, image.modality, *sizes)
    console.print(table)
    for image, found in result.done:
        said = [*image.doubts, *(doubt for item in found for doubt in item.doubts)]
        if said:
            tell(f"{image.source.name}: look at {'; '.join(said)}")
    for error in result.failed.values():
        error_console.print("[red]Error:[/]", end=" ")
        error_console.print(str(error), markup=False, highlight=False, soft_wrap=True)
    tell(f"Results: {output}")
    if result.failed:
        raise typer.Exit(ExitCode.SUBSET if result.done else ExitCode.BAD_INPUT)
