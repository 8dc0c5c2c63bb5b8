"""``flareseg settings``: the keys of task.yaml and site.yaml, from the models that check them."""

from __future__ import annotations

import json
import types
from collections.abc import Iterator
from enum import Enum
from typing import Annotated, Any, Union, get_args, get_origin

import typer
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined
from rich.table import Table

from flareseg.cli.console import console
from flareseg.config.settings import Settings
from flareseg.config.site import Site
from flareseg.config.task import Task

EXAMPLES = "Examples: flareseg settings task · flareseg settings site"
app = typer.Typer()


class File(str, Enum):
    """The two files."""

    TASK = "task"
    SITE = "site"


@app.command(epilog=EXAMPLES)
def settings(file: Annotated[File, typer.Argument(help="Which file.")] = File.TASK) -> None:
    """List every key of task.yaml or site.yaml with its default and meaning."""
    table = Table(title=f"{file.value}.yaml", show_lines=False)
    for column in ("Key", "Default", "Meaning"):
        table.add_column(column, overflow="fold")
    for key, default, meaning in rows(Task if file is File.TASK else Site):
        table.add_row(key, default, meaning)
    console.print(table)


def rows(model: type[Settings], prefix: str = "") -> Iterator[tuple[str, str, str]]:
    """Key, default and meaning of every setting of a model, nested ones below their parent."""
    for name, field in model.model_fields.items():
        nested = _nested(field.annotation)
        of_each = get_origin(_plain(field.annotation)) is dict and nested is not None
        yield f"{prefix}{name}", _default(field), field.description or ""
        if nested is not None:
            yield from rows(nested, f"{prefix}{name}.{'<name>.' if of_each else ''}")


def _default(field: FieldInfo) -> str:
    if field.default is PydanticUndefined:
        return "required"
    if isinstance(field.default, Settings):
        return ""
    return json.dumps(field.default)


def _plain(annotation: Any) -> Any:
    if get_origin(annotation) in (Union, types.UnionType):
        return next(part for part in get_args(annotation) if part is not type(None))
    return annotation


def _nested(annotation: Any) -> type[Settings] | None:
    for part in (_plain(annotation), *get_args(_plain(annotation))):
        if isinstance(part, type) and issubclass(part, Settings):
            return part
    return None
