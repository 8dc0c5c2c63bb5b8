"""The parts of the workflows that need no running federation."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from nvflare.apis.fl_constant import FLContextKey
from nvflare.apis.fl_context import FLContext
from nvflare.apis.job_launcher_spec import JobReturnCode
from nvflare.apis.shareable import Shareable
from nvflare.apis.wf_comm_spec import WFCommSpec

from flareseg.aggregation.selection import mean_score
from flareseg.errors import ErrorCode, FlaresegError, plain
from flareseg.federation.best_models import rank, site_dice, site_small_dice
from flareseg.flare.names import Header
from flareseg.flare.safeguards.launcher import SurvivableHandle
from flareseg.flare.server.recorder import RunRecorder, named_sites
from flareseg.flare.server.workflow import SegmentationTraining
from flareseg.flare.site.executor import SegmentationExecutor
from flareseg.flare.site.privacy import scope_in_force
from flareseg.record.messages import ScoreMessage, ScoresMessage, SiteError


def scores(mean: float | None, small: float | None = None) -> ScoresMessage:
    return ScoresMessage(dice={"liver": score(mean)}, small=score(small), large=score(None), loss=0.0)


def score(mean: float | None) -> ScoreMessage:
    return ScoreMessage(mean=mean, volumes=0 if mean is None else 1)


def test_each_site_counts_once_and_a_site_without_score_not() -> None:
    everyone = {"a": scores(0.4, 0.2), "b": scores(0.8), "c": scores(None)}
    assert site_dice(everyone) == {"a": 0.4, "b": 0.8}
    assert site_small_dice(everyone) == {"a": 0.2}
    assert mean_score(site_dice(everyone).values()) == pytest.approx(0.6)
    assert mean_score([]) is None


def test_no_model_gains_by_a_site_that_did_not_answer() -> None:
    validation = {
        "last": {"easy": scores(0.8), "hard": scores(0.4)},
        "best": {"easy": scores(0.7)},
    }
    assert rank(validation) == {"last": {"easy": 0.8}, "best": {"easy": 0.7}}
    assert rank({}) == {}


@pytest.mark.parametrize(
    ("deploy_map", "sites"),
    [({"app": ["@ALL"]}, set()), ({"app": ["server", "a"], "other": ["b"]}, {"a", "b"}), ({"app": []}, set())],
)
def test_sites_that_a_job_names_are_expected(deploy_map: dict[str, Any], sites: set[str]) -> None:
    assert named_sites(deploy_map) == sites


@pytest.mark.parametrize(
    "error",
    [None, "text", {"code": "../etc"}, {"code": "NO_DATA", "case": "patient-7"}, {"code": "NO_DATA", "x": 1}],
)
def test_what_a_site_says_of_a_failure_is_checked(error: Any) -> None:
    assert SiteError.read(error, "").code == "UNREADABLE_ERROR"
    assert SiteError.read({"code": "NO_DATA", "case": "0123456789"}, "").case == "0123456789"
    assert SiteError.read(None, "TASK_ABORTED").code == "TASK_ABORTED"


def test_a_report_cannot_write_lines_of_its_own_into_the_log(caplog: pytest.LogCaptureFixture) -> None:
    result = Shareable()
    forged = "x\n2026-12-01 - INFO - run ended: complete \x1b[2J \ud800"
    result.set_header(Header.REPORT, {forged: 1, "k" * 3_000_000: 1})
    with caplog.at_level("WARNING"):
        assert RunRecorder()._report("hospital-c", result, FLContext()) is None
    (line,) = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert "report ignored, unexpected" in line
    assert len(line) < 500
    assert line.isprintable()


def test_text_of_a_site_is_one_short_line() -> None:
    assert plain("a\nERROR forged\x1b[31m") == r"a\nERROR forged\x1b[31m"
    assert len(plain("x" * 10_000)) == 200


@pytest.mark.parametrize(
    ("code", "told"), [(0, JobReturnCode.SUCCESS), (-9, JobReturnCode.UNKNOWN), (1, JobReturnCode.UNKNOWN)]
)
def test_a_killed_process_is_no_failure_of_the_job(code: int, told: int) -> None:
    class Adapter:
        def poll(self) -> int:
            return code

    assert SurvivableHandle(process_adapter=Adapter()).poll() == told


@pytest.mark.parametrize(
    ("asked", "in_force", "allowed"),
    [("open", "open", True), ("open", "", False), ("open", "dp", False), ("", "open", False), ("", "", False)],
)
def test_a_job_runs_only_in_the_scope_it_asks_for(asked: str, in_force: str, allowed: bool) -> None:
    fl_ctx = FLContext()
    fl_ctx.set_prop(FLContextKey.JOB_SCOPE_NAME, asked)
    fl_ctx.set_prop(FLContextKey.EFFECTIVE_JOB_SCOPE_NAME, in_force)
    if allowed:
        assert scope_in_force(fl_ctx).name == asked
        return
    with pytest.raises(FlaresegError, match="privacy scope") as error:
        scope_in_force(fl_ctx)
    assert error.value.code is ErrorCode.SCOPE_MISMATCH


def test_a_case_id_is_salted_for_each_job() -> None:
    error = FlaresegError("m", "r", code=ErrorCode.NO_DATA, case="patient-7")
    told = [SegmentationExecutor()._failure(error, FLContext()).get_header("flareseg.error")["case"] for _ in range(2)]
    assert told[0] != told[1]
    assert all(len(case) == 10 for case in told)


def test_a_site_that_asks_for_a_round_that_is_over_is_late_in_it() -> None:
    class Communicator(WFCommSpec):
        def process_task_check(self, task_id: str, fl_ctx: FLContext) -> str | None:
            return "wanted" if task_id == "open" else None

    late: list[tuple[str, int]] = []
    training, communicator, fl_ctx = SegmentationTraining(), Communicator(), FLContext()
    training.log_warning = lambda *arguments: None  # type: ignore[method-assign]
    training._recorder = SimpleNamespace(came_late=lambda *site_and_round: late.append(site_and_round))  # type: ignore[assignment]
    training.set_communicator(communicator)
    training._unanswered = {"open": ("a", 3), "over": ("b", 2)}
    assert communicator.process_task_check(task_id="open", fl_ctx=fl_ctx) == "wanted"
    for _ in range(2):
        assert communicator.process_task_check(task_id="over", fl_ctx=fl_ctx) is None
    assert communicator.process_task_check(task_id="of another job", fl_ctx=fl_ctx) is None
    assert late == [("b", 2)]
