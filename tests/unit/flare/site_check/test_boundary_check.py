"""``flareseg site check``: does the kit guard its cells?"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from flareseg.flare.provision.policy import CELL_BOUNDARY
from flareseg.flare.site_check.boundary import check_boundary
from flareseg.flare.site_check.kit import load_kit
from flareseg.flare.site_check.report import Verdict
from kit import Authority, write_kit

OTHER = {"id": "x", "path": "nvflare.widgets.Some", "args": {}}
BOUNDARY = {"id": "cell_boundary", "path": CELL_BOUNDARY, "args": {}}


@pytest.mark.parametrize(
    ("components", "status"),
    [
        ([BOUNDARY], Verdict.GREEN),
        ([BOUNDARY, OTHER], Verdict.GREEN),
        ([OTHER, BOUNDARY], Verdict.RED),
        ([OTHER], Verdict.RED),
        ([], Verdict.RED),
        (None, Verdict.RED),
        ("text", Verdict.RED),
    ],
)
def test_the_boundary_is_the_first_component(tmp_path: Path, components: Any, status: Verdict) -> None:
    kit = load_kit(write_kit(tmp_path / "kit", Authority()))
    path = kit.startup / "fed_client.json"
    content = {**json.loads(path.read_text()), "components": components}
    path.write_text(json.dumps({key: value for key, value in content.items() if value is not None}))
    found = check_boundary(kit)
    assert found.status is status
    assert found.name == "cell boundary"
    if status is Verdict.RED:
        assert "not CellBoundary: it will not start" in found.found
