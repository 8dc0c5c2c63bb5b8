"""What the server's parent process does about jobs of its life before."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

from nvflare.apis.event_type import EventType
from nvflare.apis.fl_constant import ReservedKey, SystemComponents
from nvflare.apis.fl_context import FLContext
from nvflare.apis.job_def import RunStatus
from nvflare.private.fed.server.job_runner import JobRunner

from flareseg.flare.safeguards.lost_sites import LostJobs


def test_what_ran_when_the_server_died_is_given_up_by_nvflare_s_own_job_runner(tmp_path: Path) -> None:
    given_up: dict[str, RunStatus] = {}
    running = {"one": RunStatus.RUNNING, "two": RunStatus.DISPATCHED, "three": RunStatus.FINISHED_COMPLETED}
    manager = SimpleNamespace(
        get_jobs_by_status=lambda wanted, context: [
            SimpleNamespace(job_id=job) for job, status in running.items() if status in wanted
        ],
        set_status=lambda job, status, context: given_up.update({job: status}),
    )
    engine = SimpleNamespace(
        job_runner=JobRunner(workspace_root=str(tmp_path)),
        get_component={SystemComponents.JOB_MANAGER: manager}.__getitem__,
    )
    fl_ctx = FLContext()
    fl_ctx.set_prop(ReservedKey.ENGINE, engine)
    LostJobs().handle_event(EventType.SYSTEM_BOOTSTRAP, fl_ctx)
    assert not given_up
    LostJobs().handle_event(EventType.SYSTEM_START, fl_ctx)
    assert given_up == {"one": RunStatus.ABANDONED, "two": RunStatus.ABANDONED}
    assert all(status.value.startswith("FINISHED") for status in given_up.values())
