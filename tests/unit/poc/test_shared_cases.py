"""The generators of ``../shared/cases`` whose names or places NVFlare refuses: said before anything starts."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from flareseg.cli.poc import app
from flareseg.errors import SettingsError
from flareseg.flare.site_check.kit import load_kit
from flareseg.flare.site_check.machine import check_machine
from flareseg.flare.site_check.report import Verdict
from kit import Authority, write_kit
from shared_cases import Generate

pytestmark = pytest.mark.shared_data


def refused(*arguments: object) -> str:
    """Call ``flareseg poc``, which should say what is wrong, and give what it says."""
    done = CliRunner().invoke(app, list(map(str, arguments)))
    assert isinstance(done.exception, SettingsError), done.output
    return f"{done.output}{done.exception}"


def test_35_a_workspace_with_a_blank(generate: Generate, tmp_path: Path) -> None:
    made, workspace = generate("35"), tmp_path / "my poc"
    for command in (["start"], ["run", "fedavg"]):
        said = refused(*command, "--data", made / "data", "--workspace", workspace)
        assert f"{workspace.resolve()}" in said
        assert "Choose a workspace without them with --workspace" in said
    assert not workspace.exists(), "nothing was started, and nothing written"


def test_35_a_kit_below_a_blank(tmp_path: Path) -> None:
    kit = load_kit(write_kit(tmp_path / "FL study" / "hospital-a", Authority()))
    (check,) = (check for check in check_machine(kit, None) if check.name == "folders")
    assert check.status is Verdict.RED
    assert str(kit.folder) in check.found
    assert "Move the folder" in check.remedy


@pytest.mark.parametrize("command", [["start"], ["run", "fedavg"]])
def test_36_sites_named_as_people_name_hospitals(generate: Generate, tmp_path: Path, command: list[str]) -> None:
    made, workspace = generate("36"), tmp_path / "poc"
    said = refused(*command, "--data", made / "data", "--workspace", workspace)
    assert "'Klinik München', 'hospital.b'" in said
    assert "letters of the English alphabet, digits, hyphens and underscores" in said
    assert "Starting" not in said
    assert not (workspace / "poc").exists()
