"""The server's parent process and the sites that it loses: noticed soon, and no reason to fail the job of all."""

from __future__ import annotations

from typing import Any

from nvflare.apis.client import Client
from nvflare.apis.event_type import EventType
from nvflare.apis.fl_component import FLComponent
from nvflare.apis.fl_constant import ConfigVarName, SystemConfigs
from nvflare.apis.fl_context import FLContext
from nvflare.fuel.utils.config_service import ConfigService

OUTCOME_SECONDS = 60.0

_SETTINGS: dict[str, Any] = {
    ConfigVarName.SYNC_CLIENT_JOBS_REQUIRE_PREVIOUS_REPORT: False,
    ConfigVarName.CLIENT_OUTCOME_WAIT_TIMEOUT: OUTCOME_SECONDS,
}


class LostSites(FLComponent):
    """Mends how NVFlare 2.9's server treats a site that is lost during a job.

    - It takes a job for dead at a site only once the site has named it in a heartbeat: a process that dies before is
      waited for without end. Here a site that does not run the job is enough.
    - When the job is over it waits up to 15 minutes for a word from each site: here one minute.
    - A site that is then gone fails the job, whatever it has learned: here it does not. Whether enough sites took part
      is the workflow's to judge, which knows k of n.

    NVFlare reads the first two from no file of the server, only from its environment, which is the operator's.

    Listed among the components of the server's ``local/resources.json``.
    """

    def __init__(self) -> None:
        super().__init__()
        ConfigService.add_section(SystemConfigs.APPLICATION_CONF, dict(_SETTINGS), overwrite_existing=False)

    def handle_event(self, event_type: str, fl_ctx: FLContext) -> None:
        """Take the place of NVFlare's judgement when the server has started."""
        if event_type != EventType.SYSTEM_START:
            return
        engine = fl_ctx.get_engine()

        def resolve(client: Client, job_id: str, reason: str) -> None:
            if engine.job_runner.is_client_outcome_pending(job_id, client.name):
                self.logger.warning(f"job {job_id}: site {client.name} is gone ({reason}); its outcome is not awaited")
                engine.job_runner.resolve_client_outcome(job_id, client.name)

        engine.server._resolve_missing_client_outcome = resolve


class LostJobs(FLComponent):
    """Has NVFlare give up what it thinks is still running when the server's parent process starts.

    A process that has just started runs no job: a job's own process ends with the parent it was started by. NVFlare 2.9
    knows how to say so (``FINISHED:ABANDONED``) and nowhere does: such a job would be RUNNING for ever, and what is not
    over cannot be resumed. A container in which a launcher runs a job need not end; docs/runbook.md says what to do.

    Listed among the components of the server's ``local/resources.json``.
    """

    def handle_event(self, event_type: str, fl_ctx: FLContext) -> None:
        """Give up once, before any site has registered and any job can start."""
        if event_type == EventType.SYSTEM_START:
            fl_ctx.get_engine().job_runner.update_unfinished_jobs(fl_ctx)
