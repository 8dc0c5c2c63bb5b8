"""``flareseg data prepare``: from a folder of images to a site that is ready to train."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from flareseg.cli.console import console, tell
from flareseg.config.settings import settings_of_options
from flareseg.config.task import Modality, load_task
from flareseg.data.case import SPLITS
from flareseg.data.prepare.layouts import LAYOUTS
from flareseg.data.prepare.layouts.source import Given
from flareseg.data.prepare.order import Order
from flareseg.data.prepare.run import prepare as prepare_source
from flareseg.data.prepare.splits import SplitPlan
from flareseg.data.prepare.subset import Subset
from flareseg.data.prepare.write_site import PreparedSite
from flareseg.errors import SettingsError, plain, printable

EXAMPLES = (
    "Examples: flareseg data prepare lits /data/LiTS build/lits --task task.yaml · "
    "flareseg data prepare amos /data/amos22 build/amos --ratio 1:5 --cases 10 · "
    "flareseg data prepare patterns /data/ours build/ours --images 'img/*.nii.gz' --labels 'seg/*.nii.gz' "
    "--modality CT --map liver=1,3"
)


def prepare(
    layout: Annotated[
        str, typer.Argument(help=f"How the source is laid out: {', '.join(LAYOUTS.own)}, or an allowed extension.")
    ],
    source: Annotated[Path, typer.Argument(help="Folder of the images; nothing in it is changed.")],
    dest: Annotated[Path, typer.Argument(help="Folder for datalist.json, site.yaml, and what has to be converted.")],
    task: Annotated[
        Path | None, typer.Option(help="task.yaml whose labels to map to; without it every organ is a label.")
    ] = None,
    map_: Annotated[
        list[str] | None,
        typer.Option("--map", help="What stands for a label: LABEL=ORGAN,... or LABEL=1,3 or LABEL=none."),
    ] = None,
    modality: Annotated[
        Modality | None, typer.Option(help="Take this modality only; needed where the layout does not tell it.")
    ] = None,
    centre: Annotated[str | None, typer.Option(help="Take this centre only (polypgen: C1 to C6).")] = None,
    only: Annotated[str, typer.Option(help="Take cases with such names only, such as 'volume-1?'.")] = "*",
    without: Annotated[
        list[str] | None,
        typer.Option("--except", help="Leave out cases with such names, such as 'volume-53'; may be given again."),
    ] = None,
    patients: Annotated[
        str | None, typer.Option(help="Regular expression whose first group is the patient in a case's name.")
    ] = None,
    images: Annotated[str | None, typer.Option(help="Glob pattern of the images (patterns).")] = None,
    labels: Annotated[str | None, typer.Option(help="Glob pattern of the labels (patterns).")] = None,
    window: Annotated[
        tuple[float, float] | None, typer.Option(help="HU at 0 and at 255, for CT kept in 8 bits.")
    ] = None,
    validation: Annotated[float, typer.Option(help="Share of the patients that choose the model.")] = 0.2,
    testing: Annotated[float, typer.Option(help="Share of the patients kept for the end.")] = 0.2,
    folds: Annotated[int | None, typer.Option(help="Divide all but the test patients into so many folds.")] = None,
    fold: Annotated[int | None, typer.Option(help="The fold that validates, from 1.")] = None,
    seed: Annotated[int, typer.Option(help="Seed of the splits.")] = 0,
    fraction: Annotated[float | None, typer.Option(help="Train on this share of the training cases.")] = None,
    cases: Annotated[int | None, typer.Option(help="Train on at most so many cases of each site.")] = None,
    ratio: Annotated[str | None, typer.Option(help="Train on MR and CT cases in this ratio, such as 1:5.")] = None,
) -> None:
    """Make a site's datalist and site.yaml from a data set, split by patient; convert only what must be."""
    order = Order(
        layout=layout,
        source=source,
        folder=dest,
        task=None if task is None else load_task(task),
        given=Given(modality, images, labels),
        site=None if centre is None else centre.lower(),
        only=only,
        without=without or (),
        patients=patients,
        maps=map_ or (),
        window=window,
        plan=settings_of_options(SplitPlan, validation=validation, testing=testing, folds=folds, fold=fold, seed=seed),
        subset=settings_of_options(Subset, fraction=fraction, cases=cases, ratio=_ratio(ratio)),
    )
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console) as progress:
        bar = progress.add_task("cases", total=None)
        sites = prepare_source(order, lambda done, total: progress.update(bar, completed=done, total=total))
    console.print(_table(sites))
    for site in sites:
        for note in site.notes:
            tell(f"{site.site_file}: {note}")
    tell(f"Next: flareseg data check {sites[0].site_file}{'' if task is None else f' --task {task}'}")


def _ratio(text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    parts = re.fullmatch(r"(\d+):(\d+)", text)
    if parts is None:
        raise SettingsError(f"--ratio {text}: expected MR:CT.", "Such as --ratio 1:5 for one MR case to five of CT.")
    return int(parts[1]), int(parts[2])


def _meanings(site: PreparedSite) -> Iterator[str]:
    for name, values in site.labels.items():
        yield printable(f"{name}: {'not annotated' if values is None else values}")
    if site.background:
        yield f"background: {plain(site.background)}"


def _table(sites: Sequence[PreparedSite]) -> Table:
    """What was written, and what stands for each label: people should look at the latter."""
    table = Table()
    table.add_column("site", overflow="fold")
    table.add_column("modality")
    for split in SPLITS:
        table.add_column(f"{split}\ncases (patients)", justify="right")
    table.add_column("labels: organs and values")
    for site in sites:
        table.add_row(
            site.site_file.parent.name,
            site.modality,
            *(f"{site.cases[split]} ({site.patients[split]})" for split in SPLITS),
            Text("\n".join([*_meanings(site)])),
        )
    return table
