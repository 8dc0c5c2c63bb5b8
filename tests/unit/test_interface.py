"""``import flareseg``: what it gives, that it costs nothing, and that every example in a docstring runs."""

from __future__ import annotations

import ast
import doctest
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import flareseg

PACKAGE = Path(flareseg.__file__).parent
WITH_EXAMPLES = sorted(path for path in PACKAGE.rglob("*.py") if ">>>" in path.read_text(encoding="utf-8"))


def module_of(path: Path) -> str:
    return ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__")


@pytest.mark.parametrize("path", WITH_EXAMPLES, ids=module_of)
def test_the_examples_run(path: Path) -> None:
    result = doctest.testmod(import_module(module_of(path)), optionflags=doctest.NORMALIZE_WHITESPACE)
    assert result.attempted
    assert not result.failed


def test_names_are_those_of_their_modules_and_have_an_example() -> None:
    for name, home in flareseg._HOMES.items():
        value = getattr(flareseg, name)
        assert value is getattr(import_module(home), name)
        assert value.__module__ == home
        assert ">>>" in (value.__doc__ or ""), name


def test_type_checkers_see_what_runs() -> None:
    """PEP 562 hides names from type checkers: the imports that they read must say the same."""
    tree = ast.parse(Path(flareseg.__file__).read_text(encoding="utf-8"))
    seen = {
        alias.name: node.module
        for block in tree.body
        if isinstance(block, ast.If)
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert seen == flareseg._HOMES
    assert sorted(flareseg.__all__) == sorted([*seen, "__version__"])
    assert set(flareseg.__all__) <= set(dir(flareseg))


def test_the_import_is_cheap_and_a_wrong_name_is_an_attribute_error() -> None:
    heavy = ["torch", "monai", "numpy", "nvflare", "pydantic"]
    script = f"import sys, flareseg; sys.exit(', '.join({{*{heavy}}} & {{*sys.modules}}) or 0)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    with pytest.raises(AttributeError, match="no attribute 'fedavg'"):
        flareseg.fedavg  # noqa: B018
