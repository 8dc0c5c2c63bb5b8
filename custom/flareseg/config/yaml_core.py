"""YAML as version 1.2 has it: scalars of its core schema, and every key once.

PyYAML reads version 1.1, in which ``no`` is false, ``010`` is 8 and ``1_0`` is 10, and in which the last of two equal
keys wins. A label of a site would then be another organ without a word. PyYAML's parser stays, as NVFlare brings it;
only its tables of scalars are exchanged. (ruamel.yaml's reader of 1.2 takes ``1_0`` for 10 as well.)
"""

from __future__ import annotations

import re
from typing import Any

import yaml
from yaml.constructor import ConstructorError

_TAG = "tag:yaml.org,2002:"
_CORE = {
    "null": (r"~|null|Null|NULL|", "~nN\0"),
    "bool": (r"true|True|TRUE|false|False|FALSE", "tTfF"),
    "int": (r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", "-+0123456789"),
    "float": (
        r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
        "-+.0123456789",
    ),
}
"""Scalars of the core schema (YAML 1.2.2, 10.3.2), each with the characters that they begin with."""


class _Loader(yaml.SafeLoader):
    """PyYAML's safe loader with tables of its own, filled below."""

    yaml_implicit_resolvers = {}  # noqa: RUF012
    yaml_constructors = {}  # noqa: RUF012

    def scalar(self, node: yaml.ScalarNode) -> Any:
        """A plain or tagged scalar; text that its tag does not fit is an error."""
        text = self.construct_scalar(node)
        kind = node.tag.removeprefix(_TAG)
        if kind == "str":
            return text
        if not re.fullmatch(_CORE[kind][0], text):
            raise ConstructorError(None, None, f"expected {kind}, found {text[:80]!r}", node.start_mark)
        if kind == "int":
            return int(text, {"0o": 8, "0x": 16}.get(text[:2], 10))
        if kind == "float":
            return float(text.lower().replace(".inf", "inf").replace(".nan", "nan"))
        return None if kind == "null" else text.lower() == "true"

    def mapping(self, node: yaml.MappingNode) -> dict[str, Any]:
        """A mapping of names, each once."""
        content: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, str):
                raise ConstructorError(None, None, "expected a name as key; numbers are quoted", key_node.start_mark)
            if key in content:
                raise ConstructorError(None, None, f"the key {key[:80]!r} is given twice", key_node.start_mark)
            content[key] = self.construct_object(value_node, deep=True)
        return content

    def sequence(self, node: yaml.SequenceNode) -> list[Any]:
        """A list."""
        return self.construct_sequence(node, deep=True)


class _Dumper(yaml.SafeDumper):
    """Quotes what a reader of either version would not take for text."""


for _kind, (_expression, _first) in _CORE.items():
    _whole = re.compile(rf"(?:{_expression})\Z")
    _characters = ["" if character == "\0" else character for character in _first]
    _Loader.add_implicit_resolver(_TAG + _kind, _whole, _characters)
    _Dumper.add_implicit_resolver(_TAG + _kind, _whole, _characters)
    _Loader.add_constructor(_TAG + _kind, _Loader.scalar)
_Loader.add_constructor(_TAG + "str", _Loader.scalar)
_Loader.add_constructor(_TAG + "seq", _Loader.sequence)
_Loader.add_constructor(_TAG + "map", _Loader.mapping)
_Loader.add_constructor(None, yaml.SafeLoader.construct_undefined)  # type: ignore[type-var]


def load_yaml(text: str) -> Any:
    """Read one document.

    >>> load_yaml("{answer: no, eight: 0o10, ten: 010, none: }")
    {'answer': 'no', 'eight': 8, 'ten': 10, 'none': None}

    Raises:
        yaml.YAMLError: it is not YAML, a key is no text or is given twice, or a tag is not of the core schema.
        ValueError: a number is too long.
        RecursionError: it is nested too deep.
    """
    loader = _Loader(text)
    try:
        return loader.get_single_data()
    finally:
        loader.dispose()


def dump_yaml(content: object) -> str:
    """Write a document that reads the same by YAML 1.1 and 1.2; keys in their order, one line for each."""
    return yaml.dump(content, Dumper=_Dumper, sort_keys=False, width=10**6)
