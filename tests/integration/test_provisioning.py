"""Kits made by ``nvflare provision`` from provisioning/project.yml carry each participant's policy and files."""

from __future__ import annotations

import configparser
import json
import os
import shlex
import shutil
import socket
import subprocess
import sys
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography import x509

import flareseg
from federation import REPOSITORY
from flareseg.config.settings import load_settings
from flareseg.config.site import Site
from flareseg.flare.provision.policy import JOB_COMPONENTS, RESOURCE_COMPONENTS
from flareseg.flare.site_check.identity import check_identity
from flareseg.flare.site_check.kit import load_kit
from flareseg.flare.site_check.network import check_listening
from flareseg.flare.site_check.report import Verdict
from flareseg.flare.site_check.software import check_versions
from flareseg.job.allow_list import CLASS_ALLOW_LIST

PROJECT = REPOSITORY / "provisioning/project.yml"
SERVER = "flareseg.example.org"
HOSPITALS = [f"hospital-{letter}" for letter in "abcde"]


@pytest.fixture(scope="module")
def kits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Kits of the consortium."""
    folder = tmp_path_factory.mktemp("provision")
    command = [sys.executable, "-m", "nvflare.cli", "provision", "--force", "-p", str(PROJECT), "-w", str(folder)]
    subprocess.run(
        command, env=os.environ | {"HOME": str(folder)}, stdin=subprocess.DEVNULL, capture_output=True, check=True
    )
    return folder / "flareseg" / "prod_00"


def _json(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(path.read_text())
    return content


def test_the_project_is_a_consortium_with_all_roles() -> None:
    people = yaml.safe_load(PROJECT.read_text())["participants"]
    sites = [item for item in people if item["type"] == "client"]
    assert [item["name"] for item in sites] == HOSPITALS
    assert len({item["org"] for item in sites}) == 5
    assert {item["role"] for item in people if item["type"] == "admin"} == {
        "project_admin",
        "org_admin",
        "lead",
        "member",
    }


@pytest.mark.parametrize("name", [SERVER, *HOSPITALS])
def test_every_kit_has_its_policy(kits: Path, name: str) -> None:
    local = kits / name / "local"
    resources = _json(local / "resources.json.default")
    assert resources["class_allow_list"] == list(CLASS_ALLOW_LIST)
    assert not [entry for entry in CLASS_ALLOW_LIST if entry.endswith(".")], "a package, not a class"
    assert resources["class_list_enforcement_mode"] == "enforce"
    permissions = _json(local / "authorization.json.default")["permissions"]
    assert {rights["shell_commands"] for rights in permissions.values()} == {"none"}
    assert {rights["byoc"] for rights in permissions.values()} == {"none"}
    privacy = _json(local / "privacy.json")
    assert privacy["default_scope"] == "open"
    kind = "server" if name == SERVER else "client"
    assert privacy["components"] == JOB_COMPONENTS[kind]
    assert [item for item in resources["components"] if item in RESOURCE_COMPONENTS[kind]] == RESOURCE_COMPONENTS[kind]
    assert not (local / "privacy.json.sample").exists()


@pytest.mark.parametrize("name", HOSPITALS)
def test_a_site_s_kit_keeps_logs_and_has_a_valid_sample(kits: Path, name: str) -> None:
    local = kits / name / "local"
    resources = _json(local / "resources.json.default")
    assert resources["allow_log_streaming"] is False
    assert "SiteLogStreamer" not in json.dumps(resources)
    assert load_settings(Site, local / "site.yaml.sample").modality == "CT"


def test_nothing_of_the_server_is_stored_where_a_reboot_deletes_it(kits: Path) -> None:
    resources = (kits / SERVER / "local" / "resources.json.default").read_text()
    assert "/tmp" not in resources
    assert '"store/jobs"' in resources
    assert '"store/snapshots"' in resources


@pytest.mark.parametrize("name", [SERVER, *HOSPITALS])
def test_a_kit_says_in_three_commands_how_to_start(kits: Path, name: str) -> None:
    text = (kits / name / "README.md").read_text()
    (block,) = [part.split("```")[0] for part in text.split("```bash\n")[1:]]
    install, check, start = block.splitlines()
    assert install == f"python3 -m pip install flareseg-{flareseg.__version__}-py3-none-any.whl"
    assert check == ("nvflare preflight-check -p ." if name == SERVER else "flareseg site check")
    assert (kits / name / start).is_file()
    assert not (kits / name / "readme.txt").exists()


def test_an_admin_s_kit_names_user_and_role(kits: Path) -> None:
    text = (kits / "lead@hospital-a.example.org" / "README.md").read_text()
    assert "`lead@hospital-a.example.org`; your role is lead." in text


def test_the_systemd_unit_is_sound(kits: Path, tmp_path: Path) -> None:
    unit = tmp_path / "flareseg@.service"
    shutil.copyfile(kits / "hospital-a" / unit.name, unit)
    parser = configparser.ConfigParser(strict=True, interpolation=None)
    parser.optionxform = str  # type: ignore[assignment, method-assign]
    parser.read(unit)
    assert parser["Service"]["ReadWritePaths"] == parser["Service"]["WorkingDirectory"] == "/opt/flareseg/%i"
    script = shlex.split(parser["Service"]["ExecStart"].replace("$$", "$"))[2]
    subprocess.run(["/bin/sh", "-nc", script], check=True)
    if analyze := shutil.which("systemd-analyze"):
        done = subprocess.run([analyze, "verify", str(unit)], capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, "")


def test_every_file_of_a_startup_folder_is_signed(kits: Path) -> None:
    folders = [path.parent for path in kits.glob("*/startup/rootCA.pem")]
    assert len(folders) >= 10
    for folder in folders:
        names = {path.name for path in folder.iterdir()} - {"signature.json"}
        assert set(_json(folder / "signature.json")) == names


def test_certificates_are_each_participant_s_own_and_end_in_time(kits: Path) -> None:
    paths = sorted(kits.glob("*/startup/*.crt"))
    certificates = [x509.load_pem_x509_certificate(path.read_bytes()) for path in paths]
    assert len({certificate.serial_number for certificate in certificates}) == len(paths) == 12
    assert {(item.not_valid_after_utc - item.not_valid_before_utc).days for item in certificates} == {360}
    root = x509.load_pem_x509_certificate((kits / SERVER / "startup" / "rootCA.pem").read_bytes())
    assert (root.not_valid_after_utc - root.not_valid_before_utc).days == 3650
    assert {path.stat().st_mode & 0o777 for path in kits.glob("*/startup/*.key")} == {0o600}


def test_the_allow_list_names_classes_that_exist_and_jobs_use_no_other() -> None:
    for name in CLASS_ALLOW_LIST:
        module, _, item = name.rpartition(".")
        assert isinstance(getattr(import_module(module), item), type)
    used: set[str] = set()
    for config in (REPOSITORY / "jobs").glob("*/app/config/config_fed_*.json"):
        content = _json(config)
        parts = [*content.get("workflows", []), *content["components"]]
        parts += [item["executor"] for item in content.get("executors", [])]
        used |= {part["path"] for part in parts}
    assert used == set(CLASS_ALLOW_LIST)


@pytest.mark.parametrize("name", [SERVER, HOSPITALS[0]])
def test_site_check_finds_identity_and_versions_in_a_fresh_kit(kits: Path, name: str) -> None:
    kit = load_kit(kits / name)
    assert (kit.is_server, kit.name, kit.port) == (name == SERVER, name, 8002)
    assert {check.status for check in [check_versions(kit), *check_identity(kit)]} == {Verdict.GREEN}


def test_site_check_tells_a_taken_port_from_the_running_server(kits: Path) -> None:
    kit = load_kit(kits / SERVER)
    with socket.create_server(("127.0.0.1", 0)) as server:
        taken = replace(kit, port=server.getsockname()[1])
        assert check_listening(taken, running=True).status is Verdict.GREEN
        assert check_listening(taken, running=False).status is Verdict.RED
    assert check_listening(taken, running=False).status is Verdict.GREEN
