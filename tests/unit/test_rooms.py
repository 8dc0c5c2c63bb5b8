"""The house of docs/architecture.md, read from the imports: who may import whom, and who imports NVFlare."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import flareseg

PACKAGE = Path(flareseg.__file__).parent
MODULES = sorted(PACKAGE.rglob("*.py"))

# From the ground up: a room imports from its own floor's room and from the floors below, never from above or beside.
FLOORS = [
    ("version",),
    ("flareseg", "errors", "memory", "processes", "shipped"),
    ("config", "files", "aggregation", "fedgs"),
    ("networks", "transforms", "data/faults", "data/phantom"),
    ("data", "record", "augmentations"),
    ("data/check", "data/prepare", "federation", "privacy"),
    ("learning", "job"),
    ("flare", "simulation"),
    ("flare/server", "flare/site", "flare/safeguards", "report"),
    ("flare/provision", "inference", "export"),
    ("experiment", "flare/site_check", "poc"),
    ("cli",),
]
FLOOR = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}
FOLDERS_WITH_ROOMS = ("data", "flare")
SERVERS_AND_SITES = {"flare/server", "flare/site"}


def name_of(path: Path) -> str:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


NAMES = {name_of(path) for path in MODULES}
FRONT_DOOR = PACKAGE / "__init__.py"
"""Names its public classes for type checkers, and imports them on request: see test_interface.py."""


def room_of(module: str) -> str:
    parts = module.split(".")[1:]
    for depth in (2, 1):
        room = "/".join(parts[:depth])
        if len(parts) >= depth and room in FLOOR:
            return room
    return parts[0] if parts else "flareseg"


def imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            assert node.module is not None
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                yield inner if inner in NAMES else node.module


def test_every_module_has_a_room() -> None:
    assert {room_of(name) for name in NAMES} == set(FLOOR)


@pytest.mark.parametrize("path", [path for path in MODULES if path != FRONT_DOOR], ids=name_of)
def test_imports_go_down(path: Path) -> None:
    here = room_of(name_of(path))
    for module in imported(path):
        if module.partition(".")[0] == "flareseg" and (there := room_of(module)) != here:
            assert FLOOR[there] < FLOOR[here], f"{here} imports {module} of {there}"


def test_nobody_inside_comes_in_by_the_front_door() -> None:
    """``flareseg.Learner`` would be an import that the floors do not see."""
    for path in MODULES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "flareseg":
                assert node.attr.startswith("__"), name_of(path)
            if isinstance(node, ast.ImportFrom) and node.module == "flareseg":
                assert {alias.name for alias in node.names} == {"__version__"}, name_of(path)


def test_only_flare_imports_nvflare() -> None:
    guilty = [name_of(path) for path in MODULES if any(name.partition(".")[0] == "nvflare" for name in imported(path))]
    assert {room_of(name).partition("/")[0] for name in guilty} == {"flare"}


def test_server_and_site_never_meet() -> None:
    """The trust boundary: each side imports what crosses the wire, and nothing of the other."""
    for path in MODULES:
        here = room_of(name_of(path))
        if here in SERVERS_AND_SITES:
            (other,) = SERVERS_AND_SITES - {here}
            assert not [name for name in imported(path) if room_of(name) == other], name_of(path)


@pytest.mark.parametrize("room", [room for room in FLOOR if (PACKAGE / room / "__init__.py").is_file()])
def test_a_room_says_what_it_is(room: str) -> None:
    said = ast.get_docstring(ast.parse((PACKAGE / room / "__init__.py").read_text(encoding="utf-8")))
    assert said is not None
    assert said.count(".") >= 2 or ":" in said, room


def test_the_docs_show_every_room() -> None:
    guide = PACKAGE.parents[1] / "docs" / "architecture.md"
    if not guide.is_file():
        pytest.skip("the package is installed without docs")
    text = guide.read_text(encoding="utf-8")
    floors = {
        int(line.split("|")[1]): set(re.findall(r"`([a-z_/]+)`", line.split("|")[2]))
        for line in text.splitlines()
        if re.match(r"\| \d+ \|", line)
    }
    assert floors == {number: set(rooms) - {"flareseg"} for number, rooms in enumerate(FLOORS)}
