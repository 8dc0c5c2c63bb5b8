"""What a site's parent process does when it is asked: each topic has its right, whatever the message's headers say."""

from __future__ import annotations

from uuid import UUID

from nvflare.apis.fl_constant import AdminCommandNames
from nvflare.private.admin_defs import Message
from nvflare.private.defs import InfoCollectorTopic, RequestHeader, SysCommandTopic, TrainingTopic

from flareseg.flare.safeguards.boundary_rules import SERVER_CELL

RIGHTS = {
    TrainingTopic.CHECK_STATUS: AdminCommandNames.CHECK_STATUS,
    TrainingTopic.GET_SCOPES: AdminCommandNames.SHOW_SCOPES,
    TrainingTopic.SHUTDOWN: AdminCommandNames.SHUTDOWN,
    TrainingTopic.RESTART: AdminCommandNames.RESTART,
    TrainingTopic.DEPLOY: AdminCommandNames.SUBMIT_JOB,
    TrainingTopic.CONFIGURE_JOB_LOG: AdminCommandNames.CONFIGURE_JOB_LOG,
    SysCommandTopic.SYS_INFO: AdminCommandNames.SYS_INFO,
    SysCommandTopic.REPORT_RESOURCES: AdminCommandNames.REPORT_RESOURCES,
    SysCommandTopic.REPORT_VERSION: AdminCommandNames.REPORT_VERSION,
    SysCommandTopic.CONFIGURE_SITE_LOG: AdminCommandNames.CONFIGURE_SITE_LOG,
    InfoCollectorTopic.SHOW_STATS: AdminCommandNames.SHOW_STATS,
    InfoCollectorTopic.SHOW_ERRORS: AdminCommandNames.SHOW_ERRORS,
    InfoCollectorTopic.RESET_ERRORS: AdminCommandNames.RESET_ERRORS,
}
"""A person's commands, each with the right that ``authorization.json`` of this site must grant.

Not among them, and so refused: the shell (``sys.shell``), and ``sys.report_env``, which tells the path of the kit.
"""
OF_THE_SCHEDULER = frozenset(
    {
        TrainingTopic.CHECK_RESOURCE,
        TrainingTopic.CANCEL_RESOURCE,
        TrainingTopic.START_JOB,
        TrainingTopic.ABORT,
        TrainingTopic.DELETE_RUN,
    }
)
"""What the server does by itself with a job that was authorised when it was deployed."""
_OF_ONES_OWN_JOB = frozenset({TrainingTopic.NOTIFY_JOB_STATUS})


def command_refusal(request: object, origin: str) -> str:
    """Why a site's parent process will not do what it is asked; empty where NVFlare may go on.

    A command of a person is changed on the way: NVFlare then asks this site's ``authorization.json`` for the right
    of the topic, and not for what the message's own headers name, or not at all.

    Args:
        request: the payload of a message on the channel ``admin``.
        origin: the cell that it is from: the server's parent process, or a job of the site itself.
    """
    if not isinstance(request, Message) or not isinstance(request.topic, str):
        return "it holds no command"
    topic = request.topic
    job_id = request.get_header(RequestHeader.JOB_ID, None)
    if job_id is not None and not is_job_id(job_id):
        return f"{topic}: {job_id} is not the id of a job"
    if origin != SERVER_CELL:
        return "" if topic in _OF_ONES_OWN_JOB else f"{topic} is not a job's to give"
    if topic in OF_THE_SCHEDULER:
        return ""
    if topic not in RIGHTS:
        return f"{topic} is not to be had at this site"
    request.set_header(RequestHeader.ADMIN_COMMAND, RIGHTS[topic])
    request.set_header(RequestHeader.REQUIRE_AUTHZ, "true")
    return ""


def is_job_id(text: object) -> bool:
    """Whether this is an id as NVFlare makes them for jobs, and so no path."""
    try:
        return isinstance(text, str) and str(UUID(text)) == text.lower()
    except ValueError:
        return False
