"""Loading of YAML settings into pydantic models, with errors that name file and key."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from flareseg.errors import SettingsError, plain, shown

Positive = Annotated[float, Field(gt=0)]
Fraction = Annotated[float, Field(ge=0, le=1)]

_MOST_PROBLEMS = 5
_MOST_LEVELS = 64
_NOT_YAML = (yaml.YAMLError, ValueError, LookupError, AttributeError, TypeError, RecursionError)
"""What PyYAML lets out: also what its parts raise at 2024-02-30, numbers of 4300 digits, wrong tags, deep nesting."""


class Settings(BaseModel):
    """Base of all settings: unknown keys are refused, values are fixed once loaded."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, use_attribute_docstrings=True)


S = TypeVar("S", bound=Settings)


def read_yaml(path: Path) -> dict[str, Any]:
    """Read a YAML mapping.

    Raises:
        SettingsError: the file is missing, not readable, not YAML, or not a mapping.
    """
    text = _read_text(path)
    try:
        content = yaml.safe_load(text)
    except _NOT_YAML as error:
        raise SettingsError(f"{path}: is not YAML: {_reason(error)}.", "Mend that line.") from None
    if not isinstance(content, dict):
        raise SettingsError(f"{path}: expected a mapping of settings, found {type(content).__name__}.", "Fill it in.")
    return content


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object.

    Raises:
        SettingsError: the file is missing, not readable, not JSON, or not an object.
    """
    text = _read_text(path)
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise SettingsError(f"{path}: is not JSON ({_reason(error)}).", "Mend that line.") from None
    if not isinstance(content, dict):
        raise SettingsError(f"{path}: expected a JSON object, found {type(content).__name__}.", "Correct the file.")
    if _is_deep(content):
        raise SettingsError(f"{path}: is nested more than {_MOST_LEVELS} levels deep.", "Correct the file.")
    return content


def _is_deep(content: object) -> bool:
    level = [content]
    for _ in range(_MOST_LEVELS):
        level = [
            child
            for node in level
            if isinstance(node, dict | list)
            for child in (node.values() if isinstance(node, dict) else node)
        ]
    return bool(level)


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise SettingsError(f"{path}: no such file.", "Give the path of an existing file.") from None
    except (OSError, ValueError) as error:
        raise SettingsError(f"{path}: cannot be read ({error}).", "Check the file and its permissions.") from None


def _reason(error: Exception) -> str:
    words = " ".join(str(error).split())
    return plain(words if isinstance(error, (yaml.YAMLError, ValueError)) else f"{type(error).__name__} {words}")


def load_settings(model: type[S], path: Path, content: dict[str, Any] | None = None) -> S:
    """Validate a YAML file against a settings model.

    Args:
        model: the settings class.
        path: the file; named in every error.
        content: the mapping to validate where it was changed after reading.

    Returns:
        An instance of ``model``.

    Raises:
        SettingsError: naming the file, the first wrong key, what was expected and what was found.
    """
    content = read_yaml(path) if content is None else content
    try:
        return model.model_validate(content)
    except ValidationError as error:
        raise SettingsError(
            f"{path}: {_explain_all(error)}.", "Correct the file; flareseg settings lists the keys."
        ) from None


def settings_of_options(model: type[S], **options: Any) -> S:
    """Validate options of a command against a settings model.

    Raises:
        SettingsError: naming the option, what was expected and what was found.
    """
    try:
        return model.model_validate({name: value for name, value in options.items() if value is not None})
    except ValidationError as error:
        raise SettingsError(f"Options: {_explain_all(error)}.", "Add --help to see them.") from None


def set_key(content: dict[str, Any], assignment: str) -> None:
    """Apply one ``a.b.c=value`` to a mapping in place; the value is read as YAML.

    Raises:
        SettingsError: no ``=``, or a key below something that is not a mapping.
    """
    key, separator, value = assignment.partition("=")
    if not separator or not key:
        raise SettingsError(f"--set {assignment}: expected KEY=VALUE.", "For example --set optimizer.lr=0.001.")
    *parents, last = key.split(".")
    node = content
    for parent in parents:
        child = node.get(parent)
        if child is None:
            child = node[parent] = {}
        if not isinstance(child, dict):
            raise SettingsError(
                f"--set {assignment}: {parent} is {shown(child)}, not a mapping.", "Check the key's path."
            )
        node = child
    try:
        node[last] = yaml.safe_load(value)
    except _NOT_YAML:
        raise SettingsError(f"--set {plain(assignment)}: {shown(value)} is not a YAML value.", "Quote it.") from None


def _explain_all(error: ValidationError) -> str:
    problems = error.errors(include_url=False, include_context=False)
    more = [f"and {len(problems) - _MOST_PROBLEMS} more"] if len(problems) > _MOST_PROBLEMS else []
    return "; ".join([_explain(problem) for problem in problems[:_MOST_PROBLEMS]] + more)


def _explain(problem: Any) -> str:
    key = plain(".".join(str(part) for part in problem["loc"])) or "(top level)"
    if problem["type"] == "extra_forbidden":
        return f"{key}: unknown key"
    if problem["type"] == "missing":
        return f"{key}: is required and missing"
    message = plain(problem["msg"].removeprefix("Value error, "))
    return f"{key}: {message[0].lower() + message[1:]}, found {shown(problem['input'])}"
