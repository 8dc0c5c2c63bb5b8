"""How often waiting sites ask for work: ten times a second when they are few, less often when they are many."""

from __future__ import annotations

from nvflare.apis.fl_constant import FLContextKey
from nvflare.apis.fl_context import FLContext

QUESTIONS_PER_SECOND = 100
"""Of all waiting sites together: each costs the server's job a message, a lock and a filter chain."""


def pace_questions(sites: int, fl_ctx: FLContext) -> float:
    """Lengthen the time that NVFlare's server lets sites wait between two questions.

    Args:
        sites: how many may wait at once.
        fl_ctx: of the server's job.

    Returns:
        Seconds between two questions of one site: the job's ``task_request_interval``, or what keeps all sites together
        below :data:`QUESTIONS_PER_SECOND`; on average a round waits half of it for each of its answers.
    """
    config = fl_ctx.get_prop(FLContextKey.RUNNER).config
    config.task_request_interval = max(config.task_request_interval, sites / QUESTIONS_PER_SECOND)
    return float(config.task_request_interval)
