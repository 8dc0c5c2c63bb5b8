from __future__ import annotations

import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from nvflare.apis.dxo import DXO, DataKind, MetaKey, from_shareable
from nvflare.apis.fl_constant import FLContextKey, ReservedKey
from nvflare.apis.fl_context import FLContext
from nvflare.apis.shareable import Shareable
from nvflare.apis.signal import Signal
from nvflare.app_common.app_constant import AppConstants

import flareseg
from flareseg.flare.executor import SegmentationExecutor
from flareseg.flare.keys import META_MEAN_SCALE, Header, TaskName
from flareseg.flare.state import to_numpy
from flareseg.networks import build_network, initial_state, local_names
from flareseg.task import Task
from tiny import write_tiny_site


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
            ReservedKey.ENGINE: SimpleNamespace(get_workspace=lambda: workspace),
            ReservedKey.IDENTITY_NAME: "ct-a",
            FLContextKey.JOB_SCOPE_NAME: "open",
            FLContextKey.EFFECTIVE_JOB_SCOPE_NAME: "open",
        }.items():
            self.context.set_prop(key, value)

    def ask(self, executor: SegmentationExecutor, task_name: str, round_number: int = 0, job: str = "job") -> Shareable:
        shareable = DXO(DataKind.WEIGHTS, data=to_numpy(initial_state(self.task))).to_shareable()
        for key, value in {
            Header.VERSION: flareseg.__version__,
            Header.TASK_DIGEST: self.task.digest(),
            AppConstants.CURRENT_ROUND: round_number,
        }.items():
            shareable.set_header(key, value)
        self.context.set_prop(ReservedKey.RUN_NUM, job)
        return executor.execute(task_name, shareable, self.context, Signal())

    def kept(self) -> list[Path]:
        return list((self.root / "local_parameters").glob("*.pt"))


@pytest.fixture
def site(tmp_path: Path, task_content: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> Site:
    monkeypatch.setattr(SegmentationExecutor, "_stream", lambda *arguments: None)
    network = {"channels": [4, 8], "norm": "batch", "batch_norm": "local"}
    return Site(tmp_path, task_content | {"network": network})


def test_nothing_local_leaves_the_site(site: Site) -> None:
    executor = SegmentationExecutor()
    local = local_names(build_network(site.task), site.task)
    shared = initial_state(site.task).keys() - local
    assert local
    assert from_shareable(site.ask(executor, TaskName.TRAIN)).data.keys() == shared
    assert from_shareable(site.ask(executor, TaskName.SUBMIT_MODEL)).data.keys() == shared


def test_the_mean_scale_travels_with_the_contribution(site: Site) -> None:
    reply = site.ask(SegmentationExecutor(), TaskName.TRAIN)
    dxo = from_shareable(reply)
    assert dxo.get_meta_prop(MetaKey.NUM_STEPS_CURRENT_ROUND) == site.task.training.steps
    scale = dxo.get_meta_prop(META_MEAN_SCALE)
    assert scale == reply.get_header(Header.REPORT)["mean_scale"]
    assert 1 < scale <= 3


def test_a_restarted_site_finds_its_local_parameters_in_the_same_job_alone(site: Site) -> None:
    def second_round(executor: SegmentationExecutor, job: str) -> dict[str, bytes]:
        data = from_shareable(site.ask(executor, TaskName.TRAIN, 1, job)).data
        return {name: value.tobytes() for name, value in data.items()}

    steady = SegmentationExecutor()
    site.ask(steady, TaskName.TRAIN, 0, "one")
    (own,) = site.kept()
    after_first_round = own.read_bytes()
    want = second_round(steady, "one")
    own.write_bytes(after_first_round)
    assert second_round(SegmentationExecutor(), "one") == want
    assert second_round(SegmentationExecutor(), "two") != want
    assert len(site.kept()) == 2
