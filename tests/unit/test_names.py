"""One name, one thing: no public class, function or constant of the package is defined in two modules."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import flareseg

PACKAGE = Path(flareseg.__file__).parent

SHARED = {
    "EXAMPLES": "what a command shows at the end of its help",
    "app": "Typer's name for a group of commands",
    "logger": "logging's own",
    "read": "what a layout is: a module with this function",
    "VALUES": "the label values of a layout",
}
"""Names that may recur, and what each means wherever it does."""


def defined(tree: ast.Module) -> Iterator[str]:
    """Names that a module defines, type variables apart."""
    for node in tree.body:
        if isinstance(node, (ast.ClassDef, ast.FunctionDef)):
            yield node.name
        elif isinstance(node, (ast.Assign, ast.AnnAssign)) and not is_type_variable(node.value):
            names = node.targets if isinstance(node, ast.Assign) else [node.target]
            yield from (name.id for name in names if isinstance(name, ast.Name))


def is_type_variable(value: ast.expr | None) -> bool:
    return isinstance(value, ast.Call) and ast.unparse(value.func) == "TypeVar"


def homes() -> dict[str, list[str]]:
    """The modules of each public name.

    Functions of ``cli`` are commands, named for who types them; a network's settings have the name of the network.
    """
    found = defaultdict(list)
    for path in sorted(set(PACKAGE.rglob("*.py")) - set((PACKAGE / "networks" / "nets").glob("*.py"))):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        if path.parent.name == "cli":
            tree.body = [node for node in tree.body if not isinstance(node, ast.FunctionDef)]
        for name in set(defined(tree)):
            if not name.startswith("_"):
                found[name].append(str(path.relative_to(PACKAGE)))
    return found


def test_one_name_is_one_thing() -> None:
    assert {name: places for name, places in homes().items() if len(places) > 1 and name not in SHARED} == {}


def test_the_reviewed_names_still_recur() -> None:
    assert [name for name in SHARED if len(homes()[name]) < 2] == []
