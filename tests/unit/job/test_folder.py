from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from flareseg.config.task import load_task
from flareseg.errors import SettingsError
from flareseg.job.folder import load_job, stage_job

JOBS = Path(__file__).parents[3] / "jobs"
ARMS = ("fedavg", "fedgin", "fedgs", "fedgin-fedgs")


@pytest.mark.parametrize("name", ARMS)
def test_arms_differ_only_in_gin_and_fedgs(name: str) -> None:
    for file in ("config_fed_server.json", "config_fed_client.json"):
        assert (JOBS / name / "app/config" / file).read_bytes() == (JOBS / ARMS[-1] / "app/config" / file).read_bytes()
    meta, task = load_job(JOBS / name)
    base_meta, base = load_job(JOBS / ARMS[-1])
    assert meta | {"name": ""} == base_meta | {"name": ""}
    assert meta["name"] == name
    same = {"augmentation": (), "fedgs": None}
    assert task.model_copy(update=same) == base.model_copy(update=same)
    assert (bool(task.augmentation), task.fedgs is not None) == ("fedgin" in name, "fedgs" in name)


@pytest.mark.parametrize("name", ["liver-ct-mr", "liver-3d", "polyps"])
def test_other_jobs_are_configured_as_the_arms_are(name: str) -> None:
    for file in ("config_fed_server.json", "config_fed_client.json"):
        assert (JOBS / name / "app/config" / file).read_bytes() == (JOBS / ARMS[-1] / "app/config" / file).read_bytes()
    assert load_job(JOBS / name)[0] == load_job(JOBS / ARMS[-1])[0] | {"name": name}


def test_staging_changes_the_copy_alone(tmp_path: Path) -> None:
    before = (JOBS / "fedavg/app/config/task.yaml").read_bytes()
    staged = stage_job(JOBS / "fedavg", tmp_path / "job", ["training.rounds=3", "training.seed=5"])
    task = load_task(staged / "app/config/task.yaml")
    assert (task.training.rounds, task.training.seed) == (3, 5)
    assert (JOBS / "fedavg/app/config/task.yaml").read_bytes() == before


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda job: shutil.rmtree(job), "no such job folder"),
        (lambda job: (job / "meta.json").unlink(), "meta.json: no such file"),
        (lambda job: (job / "meta.json").write_text("{"), "is not JSON"),
        (lambda job: (job / "meta.json").write_text("[]"), "expected a JSON object"),
        (lambda job: (job / "app/config/config_fed_client.json").unlink(), "config_fed_client.json: no such file"),
        (lambda job: (job / "app/config/task.yaml").unlink(), "task.yaml: no such file"),
        (
            lambda job: (job / "app/config/config_fed_client.json").write_text(
                '{"format_version": 2, "executors": [{"path": "flareseg.flare.executor.SegmentationExecutor"}]}'
            ),
            "flareseg.flare.executor.SegmentationExecutor is now flareseg.flare.site.executor.SegmentationExecutor",
        ),
    ],
)
def test_a_broken_job_is_refused(tmp_path: Path, spoil: object, words: str) -> None:
    job = Path(shutil.copytree(JOBS / "fedavg", tmp_path / "job"))
    spoil(job)  # type: ignore[operator]
    with pytest.raises(SettingsError, match=words):
        load_job(job)


def test_min_clients_must_be_a_number(tmp_path: Path) -> None:
    job = Path(shutil.copytree(JOBS / "fedavg", tmp_path / "job"))
    meta = json.loads((job / "meta.json").read_text()) | {"min_clients": "2"}
    (job / "meta.json").write_text(json.dumps(meta))
    with pytest.raises(SettingsError, match="whole number"):
        load_job(job)


def test_a_wrong_change_leaves_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="unknown key"):
        stage_job(JOBS / "fedavg", tmp_path / "job", ["training.round=3"])
    assert not (tmp_path / "job").exists()
