"""Kits made by ``nvflare provision`` carry each site's policy."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from federation import REPOSITORY
from flareseg.flare.policy import CLASS_ALLOW_LIST
from flareseg.settings import load_settings
from flareseg.site import Site


@pytest.fixture(scope="module")
def kits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Kits of the consortium in provisioning/project.yml."""
    folder = tmp_path_factory.mktemp("provision")
    command = [sys.executable, "-m", "nvflare.cli", "provision", "--force"]
    subprocess.run(
        [*command, "-p", str(REPOSITORY / "provisioning/project.yml"), "-w", str(folder)],
        env=os.environ | {"HOME": str(folder)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=True,
    )
    return folder / "flareseg" / "prod_00"


@pytest.mark.parametrize("name", ["flareseg.example.org", "hospital-a", "hospital-b", "hospital-c"])
def test_every_kit_has_its_policy(kits: Path, name: str) -> None:
    local = kits / name / "local"
    resources = json.loads((local / "resources.json.default").read_text())
    assert resources["class_allow_list"] == list(CLASS_ALLOW_LIST)
    assert resources["class_list_enforcement_mode"] == "enforce"
    permissions = json.loads((local / "authorization.json.default").read_text())["permissions"]
    assert {rights["shell_commands"] for rights in permissions.values()} == {"none"}
    assert {rights["byoc"] for rights in permissions.values()} == {"none"}
    assert json.loads((local / "privacy.json").read_text())["default_scope"] == "open"


@pytest.mark.parametrize("name", ["hospital-a", "hospital-b", "hospital-c"])
def test_a_site_s_kit_keeps_logs_and_has_a_valid_sample(kits: Path, name: str) -> None:
    local = kits / name / "local"
    resources = json.loads((local / "resources.json.default").read_text())
    assert resources["allow_log_streaming"] is False
    assert "SiteLogStreamer" not in json.dumps(resources)
    assert load_settings(Site, local / "site.yaml.sample").modality == "CT"


def test_every_participant_has_a_certificate_of_its_own(kits: Path) -> None:
    certificates = {path.read_bytes() for path in kits.glob("*/startup/*.crt")}
    assert len(certificates) == 8


def test_the_allow_list_names_classes_that_exist_and_jobs_use_no_other() -> None:
    from importlib import import_module

    for name in CLASS_ALLOW_LIST:
        module, _, item = name.rpartition(".")
        assert isinstance(getattr(import_module(module), item), type)
    used: set[str] = set()
    for config in (REPOSITORY / "jobs").glob("*/app/config/config_fed_*.json"):
        content = json.loads(config.read_text())
        parts = [*content.get("workflows", []), *content["components"]]
        parts += [item["executor"] for item in content.get("executors", [])]
        used |= {part["path"] for part in parts}
    assert used == set(CLASS_ALLOW_LIST)
