"""What can be known is said before anything starts."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from federation import PROJECT, REPOSITORY, tiny_changes
from flareseg.errors import SettingsError
from flareseg.job.folder import stage_job
from flareseg.poc import preflight
from flareseg.poc.preflight import check_job_fits, check_place, site_files
from flareseg.poc.provision import adapt_project, site_names
from flareseg.poc.run import Plan, federation, stage
from flareseg.poc.workspace import PocError, PocWorkspace
from flareseg.processes import scripts_take
from tiny import write_tiny_site


def sites(folder: Path, *names: str) -> Path:
    for name in names:
        write_tiny_site(folder / name)
    return folder


def job(folder: Path, name: str = "fedavg", **meta: Any) -> Path:
    staged = stage_job(REPOSITORY / "jobs" / name, folder / name, tiny_changes())
    path = staged / "meta.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | meta))
    return staged


@pytest.mark.parametrize("name", ["FL study", "it's", 'a"b', "tab\there", "back\\slash"])
def test_a_path_that_nvflare_s_scripts_would_break_is_refused(tmp_path: Path, name: str) -> None:
    workspace = PocWorkspace(tmp_path / name / "poc")
    with pytest.raises(SettingsError, match="Choose a workspace without them"):
        workspace.claim()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["fl-study", "Klinik-München", "a.b_c", "~x", "(1)"])
def test_other_paths_are_fine(tmp_path: Path, name: str) -> None:
    assert scripts_take(tmp_path / name)


def test_a_full_disk_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preflight, "_FREE_BYTES", shutil.disk_usage(tmp_path).total + 1)
    with pytest.raises(SettingsError, match="GB are free on this disk"):
        check_place(tmp_path / "not" / "yet")


@pytest.mark.parametrize("name", ["Klinik München", "hospital.b", "a b"])
def test_a_site_s_name_that_nvflare_refuses(tmp_path: Path, name: str) -> None:
    with pytest.raises(SettingsError, match=rf"no site named '{name}'.*Rename the folder"):
        site_names(sites(tmp_path, "ct-a", name))


def test_a_site_that_is_named_as_the_server(tmp_path: Path) -> None:
    names = site_names(sites(tmp_path, "ct-a", "localhost"))
    content = {"participants": [{"name": "localhost", "type": "server"}, {"name": "x@y.org", "role": "lead"}]}
    with pytest.raises(SettingsError, match="localhost is the name of another participant"):
        adapt_project(content, PROJECT, names, (1, 2), tmp_path)


def test_labels_modality_and_number_of_sites(tmp_path: Path) -> None:
    files = site_files(sites(tmp_path / "sites", "ct-a", "ct-b"), ["ct-a", "ct-b"])
    check_job_fits(job(tmp_path / "fits"), files)
    with pytest.raises(SettingsError, match="min_clients is 3, there are 2 sites"):
        check_job_fits(job(tmp_path / "many", min_clients=3), files)
    with pytest.raises(SettingsError, match=r"ct-a/site.yaml: .*modality is CT"):
        check_job_fits(REPOSITORY / "jobs" / "polyps", files)
    site = files["ct-b"]
    site.write_text(site.read_text().replace("liver:", "pancreas:"))
    with pytest.raises(SettingsError, match=r"ct-b/site.yaml: .*liver"):
        check_job_fits(job(tmp_path / "labels"), files)


def test_a_job_that_needs_an_extra_names_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = ["a", "b", "c"]
    files = site_files(sites(tmp_path / "sites", *names), names)
    encrypted = job(tmp_path, "fedgs-encrypted")
    check_job_fits(encrypted, files)
    monkeypatch.setattr(preflight, "find_spec", lambda name: None)
    with pytest.raises(SettingsError, match=r"need tenseal.*flareseg\[encryption\]"):
        check_job_fits(encrypted, files)


def test_a_job_that_does_not_fit_starts_nothing(tmp_path: Path) -> None:
    workspace = PocWorkspace(tmp_path / "run")
    told: list[str] = []
    staged = stage(workspace, REPOSITORY / "jobs" / "polyps", [])
    data = sites(tmp_path / "sites", "ct-a", "ct-b")
    with (
        pytest.raises(SettingsError, match="modality is CT"),
        federation(workspace, Plan(PROJECT, data), [staged], told.append),
    ):
        pytest.fail("it should not have started")
    assert not [line for line in told if line.startswith(("Provisioning", "Starting"))]
    assert not workspace.poc.exists()


def test_one_command_at_a_time(tmp_path: Path) -> None:
    with (
        PocWorkspace(tmp_path / "run").held(),
        pytest.raises(PocError, match="another flareseg command is at work here"),
        PocWorkspace(tmp_path / "run").held(),
    ):
        pytest.fail("held twice")
    with PocWorkspace(tmp_path / "run").held():
        pass


def test_a_job_folder_with_a_blank_is_staged_under_a_name_that_nvflare_takes(tmp_path: Path) -> None:
    source = shutil.copytree(REPOSITORY / "jobs" / "fedavg", tmp_path / "my own job")
    workspace = PocWorkspace(tmp_path / "run")
    first, second = (stage(workspace, source, []) for _ in range(2))
    assert first.name == "my-own-job"
    assert first != second, "two submissions at once do not share a copy"
