"""Loading of YAML settings into pydantic models, with errors that name file and key."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from flareseg.errors import SettingsError

Positive = Annotated[float, Field(gt=0)]
Fraction = Annotated[float, Field(ge=0, le=1)]


class Settings(BaseModel):
    """Base of all settings: unknown keys are refused, values are fixed once loaded."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, use_attribute_docstrings=True)


S = TypeVar("S", bound=Settings)


def read_yaml(path: Path) -> dict[str, Any]:
    """Read a YAML mapping.

    Raises:
        SettingsError: the file is missing, not readable, not YAML, or not a mapping.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise SettingsError(f"{path}: no such file.", "Give the path of an existing file.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path}: cannot be read ({error}).", "Check the file and its permissions.") from None
    except yaml.YAMLError as error:
        raise SettingsError(f"{path}: is not YAML: {' '.join(str(error).split())}.", "Mend that line.") from None
    if not isinstance(content, dict):
        raise SettingsError(f"{path}: expected a mapping of settings, found {type(content).__name__}.", "Fill it in.")
    return content


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
            raise SettingsError(f"--set {assignment}: {parent} is {child!r}, not a mapping.", "Check the key's path.")
        node = child
    try:
        node[last] = yaml.safe_load(value)
    except yaml.YAMLError:
        raise SettingsError(f"--set {assignment}: {value!r} is not a YAML value.", "Quote it.") from None


def _explain_all(error: ValidationError) -> str:
    return "; ".join(_explain(problem) for problem in error.errors(include_url=False))


def _explain(problem: Any) -> str:
    key = ".".join(str(part) for part in problem["loc"]) or "(top level)"
    if problem["type"] == "extra_forbidden":
        return f"{key}: unknown key"
    if problem["type"] == "missing":
        return f"{key}: is required and missing"
    message = problem["msg"].removeprefix("Value error, ")
    return f"{key}: {message[0].lower() + message[1:]}, found {problem['input']!r}"
