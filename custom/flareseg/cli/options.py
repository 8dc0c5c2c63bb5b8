"""Arguments and options that several commands have."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from flareseg.job.library import find_job

Job = Annotated[
    Path,
    typer.Argument(parser=find_job, metavar="JOB", help="Job folder, or a name that flareseg job list shows."),
]
Data = Annotated[
    Path | None, typer.Option(help="Folder with <site>/site.yaml for each site. Without it: the embedded data.")
]
Rounds = Annotated[int | None, typer.Option(min=1, help="Number of rounds, instead of the task's.")]
Changes = Annotated[list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change a setting of task.yaml.")]


def changes_of(rounds: int | None, changes: list[str] | None) -> list[str]:
    """All changes of task.yaml as KEY=VALUE."""
    return [*(changes or []), *([f"training.rounds={rounds}"] if rounds else [])]
