"""A site's report that its part of a job failed: it settles the sender's part, and nobody else's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nvflare.apis.job_launcher_spec import JobReturnCode
from nvflare.fuel.f3.message import Message
from nvflare.private.defs import CellMessageHeaderKeys, JobFailureMsgKey
from nvflare.private.fed.server.server_engine import RunProcessKey

from flareseg.errors import plain
from flareseg.flare.safeguards.refused_messages import logger


class JobFailures:
    """Stands before NVFlare's handler of ``report_job_failure`` in the server's parent process.

    NVFlare 2.9 ends the job of all when one site reports a failure. Here the job goes on with the others, unless the
    sites that reported one leave fewer than ``min_clients``, or a mandatory one failed: then NVFlare ends it as before.

    Args:
        server: NVFlare's server.
    """

    def __init__(self, server: Any) -> None:
        self._server = server
        self._failed: dict[str, set[str]] = {}

    def guarded(self, handler: Callable[[Message], Message]) -> Callable[[Message], Message]:
        """NVFlare's handler, with one site's failure made its own."""

        def settle(request: Message) -> Message:
            report = request.payload
            if isinstance(report, dict) and isinstance(report.get(JobFailureMsgKey.JOB_ID), str):
                self._settle(request, report)
            return handler(request)

        return settle

    def _settle(self, request: Message, report: dict[str, Any]) -> None:
        code = report.get(JobFailureMsgKey.CODE)
        if code in (JobReturnCode.SUCCESS, JobReturnCode.UNKNOWN):
            return
        job_id = report[JobFailureMsgKey.JOB_ID]
        client = self._server.client_manager.clients.get(request.get_header(CellMessageHeaderKeys.TOKEN))
        if client is None or not self._server.engine.job_runner.is_client_outcome_pending(job_id, client.name):
            return  # NVFlare drops it
        reason = plain(str(report.get(JobFailureMsgKey.REASON)))
        if self._the_job_can_go_on(job_id, client.name):
            logger.warning(f"job {job_id} failed at site {client.name} ({reason}); it goes on with the others")
            report[JobFailureMsgKey.CODE] = JobReturnCode.UNKNOWN
        else:
            logger.warning(f"job {job_id} failed at site {client.name} ({reason}), and too few sites are left")

    def _the_job_can_go_on(self, job_id: str, site: str) -> bool:
        engine = self._server.engine
        job, process = engine.job_runner.running_jobs.get(job_id), engine.run_processes.get(job_id)
        self._failed = {known: sites for known, sites in self._failed.items() if known in engine.run_processes}
        if job is None or process is None:
            return True  # it is over, or has not begun: nothing is left for NVFlare to end
        failed = self._failed.setdefault(job_id, set())
        failed.add(site)
        present = {client.name for client in (process.get(RunProcessKey.PARTICIPANTS) or {}).values()}
        mandatory = set(job.required_sites or ())
        return len(present - failed) >= max(1, job.min_sites or 1) and not mandatory & failed
