"""Loading of YAML settings into pydantic models, with errors that name file and key."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, TypeVar

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from flareseg.config.yaml_core import load_yaml
from flareseg.errors import SettingsError, plain, shown

Positive = Annotated[float, Field(gt=0)]
Fraction = Annotated[float, Field(ge=0, le=1)]
NonNegative = Annotated[float, Field(ge=0)]


def rising(ends: tuple[float, float]) -> tuple[float, float]:
    """Check the ends of a range.

    Raises:
        ValueError: the first is above the second.
    """
    if ends[0] > ends[1]:
        raise ValueError(f"should rise, got {ends[0]:g} and {ends[1]:g}")
    return ends


Range = Annotated[tuple[NonNegative, NonNegative], AfterValidator(rising)]
PositiveRange = Annotated[tuple[Positive, Positive], AfterValidator(rising)]
FractionRange = Annotated[tuple[Fraction, Fraction], AfterValidator(rising)]

_MOST_PROBLEMS = 5
_MOST_LEVELS = 64
_NOT_YAML = (yaml.YAMLError, ValueError, LookupError, AttributeError, TypeError, RecursionError)
"""What PyYAML lets out: also what its parts raise at numbers of 4300 digits, wrong tags, deep nesting."""


class Settings(BaseModel):
    """Base of all settings: unknown keys are refused, values are fixed once loaded."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, use_attribute_docstrings=True)


S = TypeVar("S", bound=Settings)


def read_yaml(path: Path) -> dict[str, Any]:
    """Read a YAML mapping, by YAML 1.2 and with every key once: see :mod:`flareseg.config.yaml_core`.

    Raises:
        SettingsError: the file is missing, not readable, not YAML, or not a mapping, or a key is given twice.
    """
    text = read_text(path)
    try:
        content = load_yaml(text)
    except _NOT_YAML as error:
        raise SettingsError(f"{path}: is not YAML: {_reason(error)}.", "Mend that line.") from None
    if not isinstance(content, dict):
        raise SettingsError(f"{path}: expected a mapping of settings, found {type(content).__name__}.", "Fill it in.")
    return content


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object, every key once.

    Raises:
        SettingsError: the file is missing, not readable, not JSON, or not an object, or a key is given twice.
    """
    text = read_text(path)
    try:
        content = json.loads(text, object_pairs_hook=each_key_once)
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


def each_key_once(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    """The object of :func:`json.loads` (``object_pairs_hook``), which else keeps the last of two equal keys.

    Raises:
        ValueError: a key is given twice.
    """
    content = dict(pairs)
    if len(content) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in content if names.count(name) > 1)
        raise ValueError(f"the key {shown(twice)} is given twice")
    return content


def read_text(path: Path) -> str:
    """Read text in UTF-8, with or without the byte order mark that editors of Windows write first.

    Raises:
        SettingsError: the file is missing or not readable.
    """
    try:
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise SettingsError(f"{path}: no such file.", "Give the path of an existing file.") from None
    except UnicodeDecodeError as error:
        raise SettingsError(f"{path}: cannot be read ({error}).", "Save it as UTF-8.") from None
    except OSError as error:
        raise SettingsError(
            f"{path}: cannot be read ({error.strerror or error}).", "Check the file and its permissions."
        ) from None
    except ValueError as error:  # a path that no file can have
        raise SettingsError(f"{path}: cannot be read ({error}).", "Check its name.") from None


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
    return _validated(model, content, str(path), "Correct the file; flareseg settings lists the keys.")


def changed_settings(model: type[S], content: dict[str, Any], changes: Sequence[str]) -> S:
    """Validate settings that were right before ``--set`` changed them.

    Args:
        model: the settings class.
        content: the changed mapping.
        changes: the options' ``KEY=VALUE``; named in the error.

    Raises:
        SettingsError: naming the options, the first wrong key, what was expected and what was found.
    """
    options = " ".join(f"--set {plain(change)}" for change in changes)
    return _validated(model, content, options, "flareseg settings lists the keys.")


def _validated(model: type[S], content: dict[str, Any], source: str, remedy: str) -> S:
    try:
        settings = model.model_validate(content)
        _check_kept(content, settings.model_dump(), "")
    except ValidationError as error:
        raise SettingsError(f"{source}: {_explain_all(error)}.", remedy) from None
    except _Changed as error:
        raise SettingsError(f"{source}: {error}.", remedy) from None
    return settings


class _Changed(Exception):  # noqa: N818 - becomes a SettingsError that names the file
    """A value was read as one of another type."""


def _check_kept(given: object, read: object, key: str) -> None:
    """Refuse what pydantic would take for a number or a truth value though it is written as something else."""
    if isinstance(given, dict) and isinstance(read, Mapping):
        for name in given.keys() & read.keys():
            _check_kept(given[name], read[name], f"{key}.{name}" if key else name)
    elif isinstance(given, list) and isinstance(read, list | tuple):
        for number, (one, other) in enumerate(zip(given, read, strict=False)):
            _check_kept(one, other, f"{key}.{number}")
    elif isinstance(read, list | tuple) and len(read) == 1:  # a value alone stands for a list of one
        _check_kept(given, read[0], key)
    elif isinstance(read, bool | int | float) and (
        isinstance(given, str) or isinstance(given, bool) is not isinstance(read, bool)
    ):
        expected = "true or false" if isinstance(read, bool) else "a number"
        raise _Changed(f"{key}: expected {expected}, found {shown(given)}")


def settings_of_options(model: type[S], **options: Any) -> S:
    """Validate options of a command against a settings model.

    Raises:
        SettingsError: naming the option, what was expected and what was found.
    """
    try:
        return model.model_validate({name: value for name, value in options.items() if value is not None})
    except ValidationError as error:
        raise SettingsError(f"Options: {_explain_all(error)}.", "Add --help to see them.") from None


def set_keys(content: dict[str, Any], assignments: Sequence[str]) -> None:
    """Apply every ``--set`` of a command to a mapping in place, see :func:`set_key`.

    Raises:
        SettingsError: one cannot be applied, or two are of one key.
    """
    keys = [assignment.partition("=")[0] for assignment in assignments]
    for key, assignment in zip(keys, assignments, strict=True):
        if keys.count(key) > 1:
            raise SettingsError(f"--set {plain(key)}: is given {keys.count(key)} times.", "Give each key once.")
        set_key(content, assignment)


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
        node[last] = load_yaml(value)
    except _NOT_YAML as error:
        raise SettingsError(
            f"--set {plain(assignment)}: {shown(value)} is not a YAML value ({_reason(error)}).", "Correct or quote it."
        ) from None


def _explain_all(error: ValidationError) -> str:
    problems = error.errors(include_url=False)
    within = {problem["loc"][:-1] for problem in problems}  # a list with a wrong item is said to be too short as well
    problems = [item for item in problems if not (item["type"] == "too_short" and item["loc"] in within)]
    more = [f"and {len(problems) - _MOST_PROBLEMS} more"] if len(problems) > _MOST_PROBLEMS else []
    return "; ".join([_explain(problem) for problem in problems[:_MOST_PROBLEMS]] + more)


def _explain(problem: Any) -> str:
    key = plain(".".join(str(part) for part in problem["loc"])) or "(top level)"
    if problem["type"] == "extra_forbidden":
        return f"{key}: unknown key"
    if problem["type"] == "missing":
        return f"{key}: is required and missing"
    return f"{key}: {_expectation(problem)}, found {shown(problem['input'])}"


_EXPECTED = {
    "bool": "true or false",
    "dict": "a mapping of keys",
    "finite": "a finite number",
    "float": "a number",
    "int": "a whole number",
    "list": "a list",
    "model": "a mapping of keys",
    "path": "a path",
    "string": "text",
    "tuple": "a list",
}
"""First word of pydantic's error types to what the user should have given."""
_WRONG_KIND = ("type", "attributes_type", "parsing", "parsing_size", "from_float", "number")
_BOUNDS = {"greater_than": "more than {gt:g}", "greater_than_equal": "at least {ge:g}", "less_than": "less than {lt:g}"}
_BOUNDS |= {"less_than_equal": "at most {le:g}", "literal_error": "{expected}", "union_tag_invalid": "{expected_tags}"}
_BOUNDS |= {"too_short": "a list of at least {min_length}", "too_long": "a list of at most {max_length}"}


def _expectation(problem: Any) -> str:
    """What was expected, in the words of a settings file in place of pydantic's."""
    if problem["type"] in _BOUNDS:
        return f"expected {plain(_BOUNDS[problem['type']].format(**problem['ctx']))}"
    kind, _, fault = problem["type"].partition("_")
    if kind in _EXPECTED and fault in _WRONG_KIND:
        return f"expected {_EXPECTED[kind]}"
    message = plain(problem["msg"].removeprefix("Value error, "))
    return message[0].lower() + message[1:]
