from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from nvflare.apis.dxo import DXO, DataKind, MetaKey, from_shareable
from nvflare.apis.event_type import EventType
from nvflare.apis.fl_constant import FLContextKey, ReservedKey, ReturnCode
from nvflare.apis.fl_context import FLContext
from nvflare.apis.shareable import Shareable
from nvflare.apis.signal import Signal
from nvflare.app_common.app_constant import AppConstants

import flareseg
from flareseg.config.task import Task, load_task
from flareseg.flare import names
from flareseg.flare.names import META_MEAN_SCALE, Header, TaskName
from flareseg.flare.site import local_parameters
from flareseg.flare.site.executor import SegmentationExecutor
from flareseg.learning.learner import Learner
from flareseg.networks import build_network, initial_state, local_names
from flareseg.record.messages import PrivacyMessage, RoundReport
from flareseg.record.model_file import to_numpy
from planted import plant_model
from tiny import write_tiny_site

RUNS = ("11111111-1111-4111-8111-111111111111", "22222222-2222-4222-8222-222222222222")


class Site:
    """A site's workspace; a new executor in it is the job's process that started again."""

    def __init__(self, root: Path, content: dict[str, Any]) -> None:
        self.root, self.task = root, Task.model_validate(content)
        (root / "local").mkdir(parents=True)
        shutil.move(write_tiny_site(root / "data"), root / "local/site.yaml")
        (root / "task.yaml").write_text(yaml.safe_dump(content))
        workspace = SimpleNamespace(
            get_app_config_dir=lambda job: str(root),
            get_site_config_dir=lambda: str(root / "local"),
            get_root_dir=lambda: str(root),
        )
        self.context = FLContext()
        for key, value in {
            ReservedKey.ENGINE: SimpleNamespace(get_workspace=lambda: workspace, fire_event=lambda *event: None),
            ReservedKey.IDENTITY_NAME: "ct-a",
            FLContextKey.JOB_SCOPE_NAME: "open",
            FLContextKey.EFFECTIVE_JOB_SCOPE_NAME: "open",
        }.items():
            self.context.set_prop(key, value)

    def scope(self, name: str, **properties: Any) -> None:
        for key, value in {
            FLContextKey.JOB_SCOPE_NAME: name,
            FLContextKey.EFFECTIVE_JOB_SCOPE_NAME: name,
            FLContextKey.SCOPE_PROPERTIES: properties,
        }.items():
            self.context.set_prop(key, value)

    def ask(
        self, executor: SegmentationExecutor, task_name: str, round_number: int = 0, run: str = RUNS[0]
    ) -> Shareable:
        shareable = DXO(DataKind.WEIGHTS, data=to_numpy(initial_state(self.task))).to_shareable()
        for key, value in {
            Header.VERSION: flareseg.__version__,
            Header.TASK_DIGEST: self.task.digest(),
            Header.RUN: run,
            AppConstants.CURRENT_ROUND: round_number,
        }.items():
            shareable.set_header(key, value)
        return executor.execute(task_name, shareable, self.context, Signal())

    def kept(self) -> list[Path]:
        return list((self.root / "local_parameters").glob("*.pt"))


@pytest.fixture
def site(tmp_path: Path, task_content: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> Site:
    monkeypatch.setattr(SegmentationExecutor, "_stream", lambda *arguments: None)
    network = {"channels": [4, 8], "norm": "local_batch"}
    return Site(tmp_path, task_content | {"network": network})


def test_nothing_local_leaves_the_site(site: Site) -> None:
    executor = SegmentationExecutor()
    local = local_names(build_network(site.task), site.task)
    shared = initial_state(site.task).keys() - local
    assert local
    assert from_shareable(site.ask(executor, TaskName.TRAIN)).data.keys() == shared


def test_the_task_is_parsed_once_for_all_tasks_of_a_run(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    parsed: list[Path] = []
    monkeypatch.setattr(names, "load_task", lambda path: parsed.append(path) or load_task(path))
    names._parsed.cache_clear()
    executor = SegmentationExecutor()
    for round_number in range(2):
        site.ask(executor, TaskName.TRAIN, round_number)
    site.ask(executor, TaskName.VALIDATE)
    assert len(parsed) == 1


def test_the_mean_scale_travels_with_the_contribution(site: Site) -> None:
    reply = site.ask(SegmentationExecutor(), TaskName.TRAIN)
    dxo = from_shareable(reply)
    assert dxo.get_meta_prop(MetaKey.NUM_STEPS_CURRENT_ROUND) == site.task.training.steps
    scale = dxo.get_meta_prop(META_MEAN_SCALE)
    assert scale == reply.get_header(Header.REPORT)["mean_scale"]
    assert 1 < scale <= 3


def train(site: Site, executor: SegmentationExecutor, round_number: int, run: str = RUNS[0]) -> dict[str, bytes]:
    data = from_shareable(site.ask(executor, TaskName.TRAIN, round_number, run)).data
    return {name: value.tobytes() for name, value in data.items()}


def test_a_restarted_site_finds_its_local_parameters_in_the_same_run_alone(site: Site) -> None:
    steady = SegmentationExecutor()
    train(site, steady, 0)
    (own,) = site.kept()
    after_first_round = own.read_bytes()
    want = train(site, steady, 1)
    own.write_bytes(after_first_round)
    del steady  # its process ends, and lets go of the run
    assert train(site, SegmentationExecutor(), 1) == want
    assert train(site, SegmentationExecutor(), 1, RUNS[1]) != want
    assert len(site.kept()) == 2


def test_two_jobs_of_one_run_do_not_write_over_each_other(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local_parameters, "_PATIENCE_SECONDS", 0.3)
    first = SegmentationExecutor()
    train(site, first, 0)
    (own,) = site.kept()
    before = own.read_bytes()
    reply = site.ask(SegmentationExecutor(), TaskName.TRAIN, 0)
    assert reply.get_header(Header.ERROR) == {"code": "RUN_IN_USE", "case": None}
    assert own.read_bytes() == before
    del first
    train(site, SegmentationExecutor(), 0)


def _exhaust(*arguments: Any) -> None:
    torch.empty(2**60, dtype=torch.uint8)


@pytest.mark.parametrize("task_name", [TaskName.TRAIN, TaskName.VALIDATE])
def test_a_site_without_memory_says_so(site: Site, monkeypatch: pytest.MonkeyPatch, task_name: str) -> None:
    monkeypatch.setattr(Learner, "validate", _exhaust)
    monkeypatch.setattr(Learner, "train", _exhaust)
    reply = site.ask(SegmentationExecutor(), task_name)
    assert reply.get_header(Header.ERROR) == {"code": "OUT_OF_MEMORY", "case": None}


def test_a_case_whose_name_is_not_utf_8_fails_as_any_other(site: Site) -> None:
    """The executor never raises: NVFlare would end the job of all."""
    for kind in ("images", "labels"):
        folder = os.fsencode(site.root / "data" / kind)
        os.rename(folder + b"/case-3.nii.gz", folder + b"/M\xfcller-3.nii.gz")
    assert site.ask(SegmentationExecutor(), TaskName.TRAIN).get_return_code() == ReturnCode.OK
    (site.root / "data/labels" / os.fsdecode(b"M\xfcller-3.nii.gz")).write_bytes(b"")
    told_at_start = SegmentationExecutor()
    told_at_start.handle_event(EventType.START_RUN, site.context)
    for executor in (told_at_start, SegmentationExecutor()):
        error = site.ask(executor, TaskName.TRAIN).get_header(Header.ERROR)
        assert error["code"] == "UNREADABLE_IMAGE"
        assert len(error["case"]) == 10


DP = {"epsilon": 8.0, "delta": 1e-5, "max_grad_norm": 1.0, "noise_multiplier": 5.0}


@pytest.fixture
def private_site(tmp_path: Path, task_content: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> Site:
    monkeypatch.setattr(SegmentationExecutor, "_stream", lambda self, values, *rest: self.__dict__.update(told=values))
    site = Site(tmp_path, task_content | {"fedgs": None})
    site.scope("dp", **DP)
    return site


def test_a_private_site_tells_epsilon_and_nothing_of_its_training_cases(private_site: Site) -> None:
    executor = SegmentationExecutor()
    reply = private_site.ask(executor, TaskName.TRAIN)
    report = reply.get_header(Header.REPORT)
    assert report["loss"] is None
    assert "train/loss" not in vars(executor)["told"]
    assert vars(executor)["told"]["privacy/epsilon"] == report["privacy"]["epsilon"] > 0
    assert report["privacy"]["rounds_left"] > 0
    assert RoundReport.model_validate(report).privacy is not None
    assert from_shareable(reply).get_meta_prop(META_MEAN_SCALE) == 1.0


def test_the_budget_of_a_site_ends_training_there_also_for_the_next_job(private_site: Site) -> None:
    private_site.scope("dp", **DP | {"noise_multiplier": 1.5})
    executor, answers = SegmentationExecutor(), []
    for number in range(20):
        reply = private_site.ask(executor, TaskName.TRAIN, number)
        answers.append(reply)
        if reply.get_return_code() != ReturnCode.OK:
            break
    assert 1 < len(answers) < 20
    assert [answer.get_header(Header.REPORT)["privacy"]["rounds_left"] for answer in answers[:-1]] == list(
        reversed(range(len(answers) - 1))
    )
    assert answers[-1].get_header(Header.ERROR) == {"code": "BUDGET", "case": None}
    again = private_site.ask(SegmentationExecutor(), TaskName.TRAIN, 0, RUNS[1])
    assert again.get_header(Header.ERROR)["code"] == "BUDGET"
    assert private_site.ask(executor, TaskName.VALIDATE).get_return_code() == ReturnCode.OK


def test_a_site_s_own_model_never_leaves(site: Site) -> None:
    """NVFlare's task submit_model would go round every privacy scope: it is unknown here."""
    executor = SegmentationExecutor()
    site.ask(executor, TaskName.TRAIN)
    reply = site.ask(executor, "submit_model")
    assert reply.get_return_code() == ReturnCode.TASK_UNKNOWN
    assert "DXO" not in reply


def test_a_task_that_does_not_fit_the_scope_is_refused(tmp_path: Path, task_content: dict[str, Any]) -> None:
    site = Site(tmp_path, task_content)
    site.scope("dp", **DP)
    reply = site.ask(SegmentationExecutor(), TaskName.TRAIN)
    assert reply.get_header(Header.ERROR)["code"] == "SCOPE_MISMATCH"
    assert not (tmp_path / "privacy").exists()


def test_a_patient_in_training_and_held_out_is_refused_under_differential_privacy(private_site: Site) -> None:
    images = sorted((private_site.root / "data/images").iterdir())
    entries = [
        {"image": f"images/{path.name}", "label": f"labels/{path.name}", "patient": f"patient-{index // 2}"}
        for index, path in enumerate(images)
    ]
    splits = {"training": entries[:3], "validation": entries[3:]}
    (private_site.root / "data/datalist.json").write_text(json.dumps(splits))
    settings = yaml.safe_load((private_site.root / "local/site.yaml").read_text())
    settings["data"] = {"root": settings["data"]["root"], "datalist": "datalist.json"}
    (private_site.root / "local/site.yaml").write_text(yaml.safe_dump(settings))
    error = private_site.ask(SegmentationExecutor(), TaskName.TRAIN).get_header(Header.ERROR)
    assert error["code"] == "BAD_SETTINGS"
    assert error["case"]
    assert not (private_site.root / "privacy").exists()


@pytest.mark.parametrize(("bound", "clipped"), [(0.01, True), (1e6, False)])
def test_a_clipped_update_is_no_longer_than_the_bound(private_site: Site, bound: float, clipped: bool) -> None:
    private_site.scope("clipped", max_norm=bound)
    executor = SegmentationExecutor()
    reply = private_site.ask(executor, TaskName.TRAIN)
    values = np.concatenate([value.ravel() for value in from_shareable(reply).data.values()]).astype(np.float64)
    assert 0 < np.linalg.norm(values) <= bound
    assert RoundReport.model_validate(reply.get_header(Header.REPORT)).privacy == PrivacyMessage(
        scope="clipped", clipped=clipped
    )
    assert vars(executor)["told"]["privacy/clipped"] == clipped


def test_a_round_that_is_run_again_starts_from_what_the_site_had_before_it(site: Site) -> None:
    """The server died in round 1 or 2, which the site had trained already."""
    steady = SegmentationExecutor()
    first, second, third = (train(site, steady, number) for number in range(3))
    assert len({tuple(first.items()), tuple(second.items()), tuple(third.items())}) == 3
    assert train(site, steady, 2) == third
    del steady
    assert train(site, SegmentationExecutor(), 2) == third  # in another process too
    reply = site.ask(SegmentationExecutor(), TaskName.TRAIN, 1)  # two rounds back: not known any more
    assert reply.get_header(Header.ERROR)["code"] == "BAD_MODEL"


def test_a_first_round_that_is_run_again_starts_from_the_global_values(site: Site) -> None:
    first = train(site, SegmentationExecutor(), 0)
    assert train(site, SegmentationExecutor(), 0) == first


@pytest.mark.parametrize("run", ["../../etc/passwd", "", None, 7])
def test_a_run_is_named_by_a_job_id_alone(site: Site, run: Any) -> None:
    reply = site.ask(SegmentationExecutor(), TaskName.TRAIN, 0, run)
    assert reply.get_header(Header.ERROR)["code"] == "TASK_MISMATCH"
    assert not site.kept()


def test_crafted_local_parameters_are_refused_and_not_run(site: Site, tmp_path: Path) -> None:
    folder, marker = site.root / "local_parameters", tmp_path / "marker"
    folder.mkdir()
    plant_model(folder / f"{RUNS[0]}.pt", marker)
    reply = site.ask(SegmentationExecutor(), TaskName.TRAIN, 1)
    assert reply.get_header(Header.ERROR)["code"] == "BAD_MODEL"
    assert not marker.exists()


def test_bad_data_is_told_at_job_start_and_to_the_lead_as_a_code_alone(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    label = site.root / "data/labels/case-3.nii.gz"
    label.write_bytes(b"")
    executor = SegmentationExecutor()
    executor.handle_event(EventType.START_RUN, site.context)
    assert f"data check, file-empty: {label}: holds no bytes. Copy or export it again." in caplog.text
    reply = site.ask(executor, TaskName.TRAIN)
    assert reply.get_return_code() == ReturnCode.EXECUTION_EXCEPTION
    error = reply.get_header(Header.ERROR)
    assert error["code"] == "UNREADABLE_IMAGE"
    assert len(error["case"]) == 10
    assert "case-3" not in str(reply)
    assert not (site.root / "cache").exists()  # nothing was prepared


def test_warnings_alone_do_not_keep_a_site_from_training(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    shutil.copy(site.root / "data/images/case-1.nii.gz", site.root / "data/images/CASE-1.nii.gz")
    shutil.copy(site.root / "data/labels/case-1.nii.gz", site.root / "data/labels/CASE-1.nii.gz")
    executor = SegmentationExecutor()
    executor.handle_event(EventType.START_RUN, site.context)
    assert "data check: 2 warnings" in caplog.text
    assert site.ask(executor, TaskName.TRAIN).get_return_code() == ReturnCode.OK
