from __future__ import annotations

import json
from pathlib import Path

import pytest

from flareseg.config.task import load_task
from flareseg.errors import SettingsError
from flareseg.job.bundle import bundle_job
from flareseg.job.folder import TASK_FILE, load_job
from flareseg.job.library import find_job, new_job, shipped_jobs

JOBS = Path(__file__).parents[3] / "jobs"


def test_a_job_is_found_by_folder_and_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert [path.name for path in shipped_jobs()] == sorted(path.parent.name for path in JOBS.glob("*/meta.json"))
    assert find_job("fedavg") == JOBS / "fedavg"
    (tmp_path / "fedavg").mkdir()
    assert find_job("fedavg") == Path("fedavg")
    with pytest.raises(SettingsError, match=r"fedavvg: no such job folder.*fedgin-fedgs"):
        find_job("fedavvg")


def test_a_new_job_has_the_old_one_s_settings_and_can_be_submitted(tmp_path: Path) -> None:
    new_job("veins", JOBS / "liver-ct-mr", tmp_path / "sub" / "veins")
    meta, task = load_job(tmp_path / "sub" / "veins")
    assert meta == json.loads((JOBS / "liver-ct-mr/meta.json").read_text()) | {"name": "veins"}
    assert task == load_task(JOBS / "liver-ct-mr" / TASK_FILE)
    bundle_job(tmp_path / "sub" / "veins", tmp_path / "bundle")


def test_a_bundle_s_manifest_does_not_come_along(tmp_path: Path) -> None:
    bundle_job(JOBS / "fedavg", tmp_path / "bundle")
    new_job("mine", tmp_path / "bundle", tmp_path / "mine")
    assert {path.name for path in (tmp_path / "mine").iterdir()} == {"app", "meta.json"}


@pytest.mark.parametrize("name", ["two words", "../up", "", ".hidden", "straße"])
def test_a_name_that_nvflare_refuses_is_refused_before_anything_is_written(tmp_path: Path, name: str) -> None:
    with pytest.raises(SettingsError, match="takes no job of this name"):
        new_job(name, JOBS / "fedavg", tmp_path / "new")
    assert not list(tmp_path.iterdir())


def test_what_exists_is_kept(tmp_path: Path) -> None:
    new_job("mine", JOBS / "fedavg", tmp_path / "mine")
    with pytest.raises(SettingsError, match="exists already"):
        new_job("mine", JOBS / "fedgin", tmp_path / "mine")
    assert load_job(tmp_path / "mine")[1] == load_task(JOBS / "fedavg" / TASK_FILE)
