"""What SitePolicyBuilder makes of a project: limits, revoked users, data settings."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from nvflare.apis.fl_context import FLContext
from nvflare.apis.workspace import Workspace
from nvflare.app_common.resource_managers.gpu_resource_manager import GPUResourceManager
from nvflare.fuel.utils.dict_utils import augment
from nvflare.lighter.entity import Project
from nvflare.lighter.impl.static_file import StaticFileBuilder
from nvflare.lighter.impl.workspace import WorkspaceBuilder
from nvflare.lighter.provisioner import Provisioner
from nvflare.lighter.spec import Builder

from disk import open_to_others
from flareseg.config.site import load_site
from flareseg.flare.provision.builder import SitePolicyBuilder
from flareseg.flare.provision.certificates import RenewingCertBuilder
from flareseg.flare.provision.policy import CELL_BOUNDARY
from flareseg.flare.provision.resources import component
from flareseg.flare.provision.signature import KitSignatureBuilder
from tiny import write_tiny_site


def _provision(folder: Path, *own: Builder, **site: Any) -> Path:
    project = Project("study", "")
    project.set_server("fl.example.org", "consortium", {})
    project.add_client("hospital-a", "hospital_a", site)
    if "parent" in site:
        project.add_client(site["parent"], "hospital_b", {})
    builders = [WorkspaceBuilder(), StaticFileBuilder(config_folder="config"), *own]
    result = Provisioner(str(folder), builders).provision(project).get_result_location()
    assert result, "provisioning failed"
    return Path(result)


def _json(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(path.read_text())
    return content


@pytest.mark.parametrize("kit", ["fl.example.org", "hospital-a"])
def test_the_boundary_is_what_each_process_builds_first(tmp_path: Path, kit: str) -> None:
    """NVFlare reads ``startup`` before ``local``, for parents and jobs alike, and builds in this order."""
    kits = _provision(tmp_path, SitePolicyBuilder(), parent="hospital-b")
    workspace = Workspace(str(kits / kit), kit)
    for for_job in (False, True):
        is_server = kit != "hospital-a"
        merged: dict[str, Any] = {}
        for file in workspace.get_config_files_for_startup(is_server=is_server, for_job=for_job):
            augment(to_dict=merged, from_dict=_json(Path(file)), from_override_to=False)
        first = merged["components"][0]
        assert first["path"] == CELL_BOUNDARY
        assert first["args"] == {"parents": {"hospital-a": "hospital-b"}}
        assert "boundary_required" in [item["id"] for item in merged["components"]]
    assert _json(kits / kit / "local" / "privacy.json")["components"][0]["id"] == "boundary_required_by_jobs"


def test_a_project_with_relays_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    project = Project("study", "")
    project.set_server("fl.example.org", "consortium", {"listening_host": {"scheme": "http", "port": 8102}})
    project.add_relay("relay-1", "consortium", {"listening_host": {"scheme": "http", "port": 8103, "host": "relay-1"}})
    builders = [WorkspaceBuilder(), StaticFileBuilder(config_folder="config"), SitePolicyBuilder()]
    Provisioner(str(tmp_path), builders).provision(project)
    error = capsys.readouterr().err
    assert "The project has relays (relay-1), and NVFlare's relay does not guard its cell" in error
    assert "Let the sites connect to the server directly" in error


@pytest.mark.parametrize(
    ("capacity", "asked", "enough"),
    [
        (None, {}, True),
        (None, {"num_of_gpus": 1}, False),
        ({"num_of_gpus": 1, "mem_per_gpu_in_GiB": 24}, {"num_of_gpus": 1, "mem_per_gpu_in_GiB": 20}, True),
        ({"num_of_gpus": 1, "mem_per_gpu_in_GiB": 24}, {"num_of_gpus": 1, "mem_per_gpu_in_GiB": 40}, False),
        ({"num_of_gpus": 1, "mem_per_gpu_in_GiB": 24}, {"num_of_gpus": 2, "mem_per_gpu_in_GiB": 20}, False),
    ],
)
def test_a_site_takes_no_job_that_asks_for_more_than_its_capacity(
    tmp_path: Path, capacity: dict[str, int] | None, asked: dict[str, int], enough: bool
) -> None:
    kits = _provision(tmp_path, SitePolicyBuilder(), **({"capacity": capacity} if capacity else {}))
    resources = _json(kits / "hospital-a" / "local" / "resources.json.default")
    manager = GPUResourceManager(**component(resources, "resource_manager")["args"], ignore_host=True)
    assert manager.check_resources(asked, FLContext())[0] is enough


def test_a_revoked_user_stands_in_every_kit_s_policy(tmp_path: Path) -> None:
    kits = _provision(tmp_path, SitePolicyBuilder(revoked=["gone@y.org"]))
    for name in ("fl.example.org", "hospital-a"):
        permissions = _json(kits / name / "local" / "authorization.json.default")["permissions"]
        assert permissions["lead"]["submit_job"] == ["any", "not n:gone@y.org"]
        assert permissions["lead"]["byoc"] == "none"


def test_known_data_settings_are_copied_with_absolute_paths(tmp_path: Path) -> None:
    source = write_tiny_site(tmp_path / "sites" / "hospital-a")
    source.write_text(source.read_text().replace(f"root: {source.parent}", "root: .") + "cache: prepared\n")
    kits = _provision(tmp_path / "federation", SitePolicyBuilder(sites=str(tmp_path / "sites")))
    site = load_site(kits / "hospital-a" / "local" / "site.yaml")
    assert site.data.root == source.parent
    assert site.cache == source.parent / "prepared"


def test_a_site_without_its_data_settings_ends_provisioning(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(AssertionError, match="provisioning failed"):
        _provision(tmp_path, SitePolicyBuilder(sites=str(tmp_path / "sites")))
    assert "site.yaml: no such file. Describe the data of hospital-a there." in capsys.readouterr().err


def test_nobody_else_reads_what_provisioning_writes(tmp_path: Path) -> None:
    """Private keys above all; also in a state/ that an earlier version left open."""
    builders = (SitePolicyBuilder(), RenewingCertBuilder(), KitSignatureBuilder())
    before = os.umask(0o022)
    try:
        _provision(tmp_path, *builders)
        state = tmp_path / "study" / "state" / "cert.json"
        state.chmod(0o644)
        os.umask(0o022)
        kits = _provision(tmp_path, *builders)
    finally:
        os.umask(before)
    assert "root_pri_key" in state.read_text()
    assert os.access(kits / "hospital-a/startup/start.sh", os.X_OK)
    assert open_to_others(tmp_path / "study") == []


@pytest.mark.parametrize("name", ["fl.example.org", "hospital-a"])
@pytest.mark.parametrize("script", ["start.sh", "sub_start.sh"])
def test_a_kit_s_processes_write_for_their_owner_alone(tmp_path: Path, name: str, script: str) -> None:
    lines = (_provision(tmp_path, SitePolicyBuilder()) / name / "startup" / script).read_text().splitlines()
    assert lines[0].startswith("#!")
    assert lines[1] == "umask 077"
