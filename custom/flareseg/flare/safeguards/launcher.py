"""The site's job launcher: a job process that is killed at one site does not end the job of all."""

from __future__ import annotations

from typing import Any

from nvflare.apis.fl_context import FLContext
from nvflare.apis.job_launcher_spec import JobHandleSpec, JobReturnCode
from nvflare.app_common.job_launcher.client_process_launcher import ClientProcessJobLauncher
from nvflare.app_common.job_launcher.process_launcher import ProcessHandle


class SurvivableHandle(ProcessHandle):
    """Tells NVFlare that a process died of a cause unknown, not that the job failed."""

    def poll(self) -> Any:
        """Give NVFlare's return code.

        NVFlare 2.9 maps a process that was killed (out of memory, say) to EXECUTION_ERROR, reports that to the
        server, and the server fails the whole job. UNKNOWN is not reported: the server notices the missing site by its
        heartbeat, and the round goes on with the others.
        """
        code = super().poll()
        return JobReturnCode.UNKNOWN if code == JobReturnCode.EXECUTION_ERROR else code


class SiteJobLauncher(ClientProcessJobLauncher):
    """NVFlare's process launcher for clients, with :class:`SurvivableHandle`."""

    def launch_job(self, job_meta: dict[str, Any], fl_ctx: FLContext) -> JobHandleSpec:
        """Start the job's process."""
        return SurvivableHandle(process_adapter=super().launch_job(job_meta, fl_ctx).adapter)
