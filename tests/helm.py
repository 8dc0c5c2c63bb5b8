"""Renders the Helm charts of ``nvflare deploy prepare``: the part of Go's templates that they use, strictly."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import yaml

_ACTION = re.compile(r"\{\{(-?)\s*(.*?)\s*(-?)\}\}", re.DOTALL)
_TOKEN = re.compile(r'"[^"]*"|\(|\)|\||[^\s()|]+')

FUNCTIONS: dict[str, Callable[..., Any]] = {
    "default": lambda fallback, value=None: value or fallback,
    "hasKey": lambda mapping, key: key in mapping,
    "ne": lambda left, right: left != right,
    "nindent": lambda width, text: "\n" + "\n".join(" " * width + line for line in text.splitlines()),
    "printf": lambda text, *values: text.replace("%v", "%s") % values,
    "quote": lambda value: f'"{value}"',
    "toString": lambda value: str(value).lower() if isinstance(value, bool) else str(value),
    "toYaml": lambda value: yaml.safe_dump(value, default_flow_style=False).rstrip("\n"),
    "trimSuffix": lambda suffix, text: text.removesuffix(suffix),
    "trunc": lambda length, text: text[:length],
}


class Chart:
    """A chart, rendered as ``helm template`` would.

    Args:
        folder: with Chart.yaml, values.yaml and templates/.
        namespace: where it would be installed.
        values: changes of values.yaml at the top level.
    """

    def __init__(self, folder: Path, namespace: str, **values: Any) -> None:
        chart = yaml.safe_load((folder / "Chart.yaml").read_text())
        content = yaml.safe_load((folder / "values.yaml").read_text()) | values
        release = {"Name": "release", "Namespace": namespace, "Service": "Helm"}
        names = {"Name": chart["name"], "Version": chart["version"], "AppVersion": chart["appVersion"]}
        self.root = {"Values": content, "Chart": names, "Release": release}
        self.defined: dict[str, list[str]] = {}
        self.templates = sorted((folder / "templates").iterdir())

    def resources(self) -> Iterator[dict[str, Any]]:
        """Every Kubernetes object of the chart."""
        texts = [self._render(_tokens(path.read_text()), self.root) for path in self.templates]
        for text in texts:
            yield from (item for item in yaml.safe_load_all(text) if item)

    def _render(self, tokens: list[str], dot: Any) -> str:
        output, position = "", 0
        while position < len(tokens):
            token = tokens[position]
            position += 1
            if not token.startswith("{{"):
                output += token
                continue
            verb, _, rest = token[2:].partition(" ")
            if verb in ("if", "with", "define"):
                body, other, position = _block(tokens, position)
                if verb == "define":
                    self.defined[rest.strip('"')] = body
                    continue
                value = self._value(rest, dot)
                inner = value if verb == "with" and value else dot
                output += self._render(body if value else other, inner)
            else:
                output += str(self._value(token[2:], dot))
        return output

    def _value(self, expression: str, dot: Any) -> Any:
        tokens = _TOKEN.findall(expression)
        value, rest = self._pipeline(tokens, dot)
        assert not rest, expression
        return value

    def _pipeline(self, tokens: list[str], dot: Any) -> tuple[Any, list[str]]:
        previous: list[Any] = []
        while True:
            words: list[Any] = []
            name = tokens[0] if tokens[0] in FUNCTIONS or tokens[0] == "include" else None
            tokens = tokens[1:] if name else tokens
            while tokens and tokens[0] not in ("|", ")"):
                if tokens[0] == "(":
                    inner, tokens = self._pipeline(tokens[1:], dot)
                    words.append(inner)
                else:
                    words.append(self._operand(tokens[0], dot))
                tokens = tokens[1:]
            words += previous
            if name == "include":
                value = self._render(self.defined[words[0]], words[1]).strip()
            else:
                value = FUNCTIONS[name](*words) if name else words[0]
            if not tokens or tokens[0] == ")":
                return value, tokens
            previous, tokens = [value], tokens[1:]

    def _operand(self, word: str, dot: Any) -> Any:
        if word.startswith('"'):
            return word.strip('"')
        if word.isdigit():
            return int(word)
        node = self.root if word.startswith("$") else dot
        for key in filter(None, word.lstrip("$").split(".")):
            node = node.get(key)
        return node


def _tokens(text: str) -> list[str]:
    """Text and actions in turn; an action is ``{{`` and its content."""
    result: list[str] = []
    position, strip = 0, False
    for match in _ACTION.finditer(text):
        before = text[position : match.start()]
        before = before.lstrip() if strip else before
        result.append(before.rstrip() if match.group(1) else before)
        if not match.group(2).startswith("/*"):
            result.append("{{" + match.group(2))
        position, strip = match.end(), bool(match.group(3))
    result.append(text[position:].lstrip() if strip else text[position:])
    return result


def _block(tokens: list[str], position: int) -> tuple[list[str], list[str], int]:
    """The body up to ``end``, what follows ``else``, and where it goes on."""
    parts: list[list[str]] = [[], []]
    depth, part = 1, 0
    while True:
        token = tokens[position]
        position += 1
        word = token[2:].split(" ")[0] if token.startswith("{{") else ""
        depth += word in ("if", "with", "define", "range")
        depth -= word == "end"
        if depth == 0:
            return parts[0], parts[1], position
        if depth == 1 and word == "else":
            part = 1
        else:
            parts[part].append(token)
