"""A slip in privacy.json, or a package that a scope needs and that is missing, is told before a job fails of it."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from flareseg.flare.provision.policy import privacy
from flareseg.flare.site_check.report import Verdict
from flareseg.flare.site_check.scopes import check_scopes


def kit(content: dict[str, Any]) -> Any:
    return SimpleNamespace(local_json=lambda name: json.loads(json.dumps(content)))


@pytest.mark.parametrize("site", [True, False])
@pytest.mark.parametrize("keys", [True, False])
def test_the_scopes_of_a_kit_are_green(keys: bool, site: bool) -> None:
    check = check_scopes(kit(privacy(keys=keys, site=site)), installed=Path)
    assert check.status is Verdict.GREEN
    assert ("encrypted" in check.found) is keys


@pytest.mark.parametrize(("package", "scope"), [("opacus", "dp"), ("tenseal", "encrypted")])
def test_a_missing_package_is_red(package: str, scope: str) -> None:
    check = check_scopes(
        kit(privacy(keys=True, site=True)), installed=lambda name: None if name == package else package
    )
    assert check.status is Verdict.RED
    assert check.found.startswith(f"{scope} needs {package}")
    assert "pip install 'flareseg[" in check.remedy


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"scopes": [{"name": "dp", "properties": {"epsilon": 1}}]}, "delta"),
        ({"scopes": [{"name": "secret"}]}, "no scope 'secret' is known"),
        ({}, "no list of scopes"),
        ({"scopes": ["open"]}, "no list of scopes"),
    ],
)
def test_a_slip_is_red(content: dict[str, Any], words: str) -> None:
    check = check_scopes(kit(content))
    assert check.status is Verdict.RED
    assert words in check.found
