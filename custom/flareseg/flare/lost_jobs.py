"""Jobs that ran when the server died: given up when it starts again, so that they can be resumed."""

from __future__ import annotations

from nvflare.apis.event_type import EventType
from nvflare.apis.fl_component import FLComponent
from nvflare.apis.fl_context import FLContext


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
