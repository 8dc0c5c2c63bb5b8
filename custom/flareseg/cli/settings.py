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
from rich.text import Text

from flareseg.cli.console import console
from flareseg.config.choices import SEAMS
from flareseg.config.seams import Choice, Seam
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
        table.add_row(Text(key), Text(default), Text(meaning))
    console.print(table)


def rows(model: type[Settings], prefix: str = "") -> Iterator[tuple[str, str, str]]:
    """Key, default and meaning of every setting of a model, nested ones below their parent."""
    for name, field in model.model_fields.items():
        key = f"{prefix}{name}"
        of_each = get_origin(_plain(field.annotation)) is dict
        nested = _nested(field.annotation)
        seam = SEAMS.get(nested) if nested is not None else None
        if nested is not None and seam is not None:
            yield key, _default(field), f"{field.description} One of {', '.join(seam.names())}."
            yield from _parts(nested, seam, f"{key}." if seam.default else f"{key}[].")
        else:
            yield key, _default(field), field.description or ""
            if nested is not None:
                yield from rows(nested, f"{key}.{'<name>.' if of_each else ''}")


def _parts(base: type[Settings], seam: Seam, prefix: str) -> Iterator[tuple[str, str, str]]:
    """The keys of all, then each that can be chosen with the keys of its own."""
    common = [row for row in rows(base, prefix) if row[0] != f"{prefix}name"]
    yield from common
    shown = {f"{prefix}name", *(key for key, _, _ in common)}
    for name in seam.names():
        part = seam.load(name)
        yield f"{prefix}name", name, (part.__doc__ or "").partition("\n")[0]
        yield from (row for row in rows(part, prefix) if row[0] not in shown)


def _default(field: FieldInfo) -> str:
    if field.default_factory is not None:
        value = field.get_default(call_default_factory=True, validated_data={})
        return value.name if isinstance(value, Choice) else json.dumps(value)
    if field.default is PydanticUndefined:
        return "required"
    if isinstance(field.default, Choice):
        return field.default.name
    if isinstance(field.default, Settings):
        return ""
    return json.dumps(field.default)


def _plain(annotation: Any) -> Any:
    if get_origin(annotation) in (Union, types.UnionType):
        return next(part for part in get_args(annotation) if part is not type(None))
    return annotation


def _nested(annotation: Any) -> type[Settings] | None:
    """The settings that an annotation speaks of: themselves, or those of each item of a mapping or a list."""
    annotation = _plain(annotation)
    if get_origin(annotation) is Annotated:
        annotation = get_args(annotation)[0]
    if isinstance(annotation, type) and issubclass(annotation, Settings):
        return annotation
    return next((found for part in get_args(annotation) if (found := _nested(part)) is not None), None)
