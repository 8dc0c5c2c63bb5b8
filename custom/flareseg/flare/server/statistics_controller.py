"""The server's workflow for federated statistics: NVFlare's, with k of n sites, and no site that ends it for all."""

from __future__ import annotations

from typing import Any

from nvflare.apis.controller_spec import ClientTask
from nvflare.apis.fl_context import FLContext
from nvflare.app_common.workflows.statistics_controller import StatisticsController

from flareseg.errors import FlaresegError
from flareseg.flare.names import job_min_clients, job_task, site_error
from flareseg.flare.server.polling import pace_questions

BINS = 10
"""Bins of every histogram: a site with no more patients than this keeps its histograms."""

RANGES = {
    "CT intensity": (-200, 300),
    "RGB intensity": (0, 255),
    "CT component mm": (0, 60),
    "MR component mm": (0, 60),
    "RGB component px": (0, 240),
}
"""Fixed ranges, the same for all sites; of any other feature the sites tell theirs, with noise."""


class SiteStatisticsController(StatisticsController):
    """StatisticsController with k from meta.json and patience from task.yaml, so that each stands once.

    Args:
        writer_id: id of the component that writes the result.
    """

    def __init__(self, writer_id: str = "writer") -> None:
        fixed = {feature: {"bins": BINS, "range": list(ends)} for feature, ends in RANGES.items()}
        histogram: dict[str, Any] = {"*": {"bins": BINS}, **fixed}
        super().__init__({"count": {}, "sum": {}, "mean": {}, "histogram": histogram}, writer_id)

    def start_controller(self, fl_ctx: FLContext) -> None:
        """Read task.yaml and meta.json, then start as NVFlare does."""
        try:
            self.wait_time_after_min_received = job_task(fl_ctx).aggregation.wait_after_min
        except FlaresegError as error:
            self.system_panic(str(error), fl_ctx)
            return
        self.min_clients = job_min_clients(fl_ctx)
        pace_questions(len(self._engine.get_clients()), fl_ctx)
        super().start_controller(fl_ctx)

    def results_cb(self, client_task: ClientTask, fl_ctx: FLContext) -> None:
        """Take a site's answer; one that cannot be read counts as none."""
        try:
            super().results_cb(client_task, fl_ctx)
        except Exception as error:  # whatever a site sends must not end the job of all
            self.log_error(fl_ctx, f"site {client_task.client.name} refused: unreadable ({type(error).__name__})")

    def handle_client_errors(self, rc: str, client_task: ClientTask, fl_ctx: FLContext) -> None:
        """Name the site and its error; k of n decides at the end."""
        self.log_error(fl_ctx, f"site {client_task.client.name} failed: {site_error(client_task.result)}")
