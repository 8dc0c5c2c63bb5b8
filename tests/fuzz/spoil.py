"""How content is spoiled: bytes at random, and JSON node by node."""

from __future__ import annotations

import json
from collections.abc import Sequence
from copy import deepcopy
from typing import Any

from hypothesis import strategies as st

TOKENS = [
    b"\x00",
    b"\xff\xfe",
    b"\\ud800",
    b"2024-02-30",
    b"9" * 4400,
    b"0x" + b"f" * 9000,
    b"[" * 3000,
    b'{"a":' * 300,
    b"&a [*a, *a]",
    b"!!timestamp x",
    b"!!python/object:os.system x",
    b"null",
    b"NaN",
    b"-1",
    b"1e999",
    b"\x1b[2J",
    b"../../etc/passwd",
    b"true",
    "²".encode(),
    b"{}",
    b"[]",
    b'"',
    b"\n",
    b"- ",
    b": ",
]
NASTY: list[Any] = [
    None,
    True,
    -1,
    0,
    1e308,
    float("nan"),
    float("inf"),
    2**70,
    2**15000,
    "",
    "\ud800",
    "\0",
    "\n## forged",
    "\x1b[2J",
    "x" * 5000,
    "../../etc/passwd",
    "/etc/passwd",
    "²",
    "[" * 50,
    [],
    {},
    [[]],
    ["a"],
    {"a": {}},
    {"path": 5},
    {"path": "os.system", "args": [1]},
]


@st.composite
def spoiled_bytes(draw: st.DrawFn, seeds: Sequence[bytes]) -> bytes:
    """One of the seeds with up to four changes."""
    content = bytearray(draw(st.sampled_from(seeds)))
    for _ in range(draw(st.integers(1, 4))):
        at, length = draw(st.integers(0, len(content))), draw(st.integers(0, 16))
        kind = draw(st.sampled_from(["flip", "cut", "insert", "replace", "double", "random"]))
        if kind == "flip" and at < len(content):
            content[at] ^= 1 << draw(st.integers(0, 7))
        elif kind == "cut":
            del content[at:]
        elif kind == "insert":
            content[at:at] = draw(st.sampled_from(TOKENS))
        elif kind == "replace":
            content[at : at + length] = draw(st.sampled_from(TOKENS))
        elif kind == "double":
            content[at:at] = content[at : at + length]
        elif kind == "random":
            content[at : at + length] = draw(st.binary(max_size=16))
    return bytes(content)


@st.composite
def spoiled_value(draw: st.DrawFn, seed: Any) -> Any:
    """A JSON value with up to three of its nodes replaced, dropped or added to."""
    content = json.loads(json.dumps(seed))
    for _ in range(draw(st.integers(1, 3))):
        parents = [node for node in _nodes(content) if isinstance(node, dict | list)]
        if not parents:
            break
        parent = draw(st.sampled_from(parents))
        nasty = deepcopy(draw(st.sampled_from(NASTY)))
        keys = list(parent) if isinstance(parent, dict) else list(range(len(parent)))
        kind = draw(st.sampled_from(["replace", "drop", "add"])) if keys else "add"
        if kind == "replace":
            parent[draw(st.sampled_from(keys))] = nasty
        elif kind == "drop":
            del parent[draw(st.sampled_from(keys))]
        elif isinstance(parent, dict):
            parent[draw(st.sampled_from(["", "\ud800", "x", "name", "\n", "k" * 500]))] = nasty
        else:
            parent.append(nasty)
    return content


def spoiled_json(seed: Any) -> st.SearchStrategy[bytes]:
    """Text of a spoiled value, or spoiled text of the value."""
    by_node = spoiled_value(seed).map(as_json)
    return by_node | spoiled_bytes([as_json(seed)])


def as_json(value: Any) -> bytes:
    """JSON text; a number too long for Python to write is written as another long one."""
    try:
        return json.dumps(value).encode()
    except ValueError:
        return b'{"a": ' + b"9" * 5000 + b"}"


def _nodes(value: Any) -> list[Any]:
    children = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [value, *(node for child in children for node in _nodes(child))]
