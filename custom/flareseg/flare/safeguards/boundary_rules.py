"""Who may say what to a cell: the rules of the trust boundary, functions of names alone.

A cell's name is a path: ``server``, ``server.<job>``, ``<site>``, ``<site>.<job>``; an administrator's session has a
name of its own. The *neighbour* is the cell at the other end of the connection, whose name NVFlare has compared with
the TLS certificate; the *origin* is what the message says of itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from nvflare.apis.fl_constant import ServerCommandNames
from nvflare.fuel.f3.cellnet.defs import CellChannel, CellChannelTopic
from nvflare.fuel.f3.cellnet.fqcn import FQCN
from nvflare.fuel.f3.streaming.download_service import OBJ_DOWNLOADER_CHANNEL
from nvflare.fuel.f3.streaming.stream_const import STREAM_CHANNEL, STREAM_ERROR_TOPIC
from nvflare.fuel.utils.admin_name_utils import is_valid_admin_client_name
from nvflare.private.fed.server.server_commands import ServerCommands

SERVER_CELL = FQCN.ROOT_SERVER
NET_MANAGER = "_net_manager"
_CERTIFICATES = "credential_manager"
_PLUMBING = frozenset({STREAM_CHANNEL, OBJ_DOWNLOADER_CHANNEL, CellChannel.RETURN_ONLY, _CERTIFICATES})
"""Streams are checked again by the channel that they carry; a download needs a reference that nobody can guess."""
_BETWEEN_JOBS = _PLUMBING | {CellChannel.AUX_COMMUNICATION}
_SITE_TOPICS = frozenset(
    {
        CellChannelTopic.Challenge,
        CellChannelTopic.Register,
        CellChannelTopic.Quit,
        CellChannelTopic.HEART_BEAT,
        CellChannelTopic.REPORT_JOB_FAILURE,
    }
)
_ADMIN_TOPICS = frozenset({CellChannelTopic.Challenge, CellChannelTopic.Register})
_LISTENER_TOPICS = frozenset(
    {ServerCommandNames.GET_CLIENTS, ServerCommandNames.UPDATE_RUN_STATUS, ServerCommandNames.HEARTBEAT}
)
_SITE_COMMANDS = frozenset(ServerCommands.client_request_commands_names)


def root(name: str) -> str:
    """The family of a cell: ``server``, a site, or an administrator's session."""
    return name.partition(".")[0]


def job(name: str) -> str:
    """The job whose cell this is; empty for a parent's."""
    return name.partition(".")[2].partition(".")[0]


def stands_over(upper: str, lower: str) -> bool:
    """Whether a cell is another's ancestor, or that cell itself."""
    return lower == upper or lower.startswith(f"{upper}.")


@dataclass(frozen=True)
class BoundaryRules:
    """The rules as they are for one cell.

    Attributes:
        me: the cell's name.
        parents: for hierarchical jobs, the site that stands over a site: their jobs' processes may exchange messages.
    """

    me: str
    parents: Mapping[str, str] = field(default_factory=dict)

    def on_the_way(self, neighbour: str, origin: str, destination: str) -> str:
        """Why a message may not come from here, or pass to there; empty where it may.

        Args:
            neighbour: the cell that it came through.
            origin: the cell that it says it is from.
            destination: the cell that it is for.
        """
        above = stands_over(neighbour, self.me) or (neighbour == SERVER_CELL and root(self.me) != SERVER_CELL)
        if not above and not stands_over(neighbour, origin):
            return f"it says it is from {origin}"
        if not self._related(root(origin), root(destination)):
            return f"it is for {destination}, and sites speak with the server alone"
        return self._from_a_stranger(origin) if destination == self.me else ""

    def request(self, channel: str, topic: str, origin: str, job_id: object = None) -> str:
        """Why a request may not be handled here; empty where it may.

        Args:
            channel: its channel, as the handler was registered.
            topic: its topic.
            origin: the cell that it is from.
            job_id: the job that its headers name; a job's process speaks for its own job alone.
        """
        if channel == CellChannel.CELLNET and topic == CellChannelTopic.Bye:
            return ""
        if not self._related(root(origin), root(self.me)) or self._from_a_stranger(origin):
            return f"{topic} on {channel}: {origin} has no business with {self._what()}"
        if not self._allowed(channel, topic, origin):
            return f"{topic} on {channel} is not for it to ask of {self._what()}"
        if channel == CellChannel.SERVER_PARENT_LISTENER and job_id not in (None, job(origin)):
            return f"{topic} is for a job's own process, not for another job's"
        return ""

    def _from_a_stranger(self, origin: str) -> str:
        if root(origin) == root(self.me) or self.me == SERVER_CELL or job(origin) == job(self.me):
            return ""  # its own family; all, at the server; and parents among themselves, as one job's processes are
        if not job(origin) and not is_valid_admin_client_name(origin):
            return ""  # a parent may have to say that its job's process is gone
        return f"{origin} has no business with {self._what()}"

    def _allowed(self, channel: str, topic: str, origin: str) -> bool:
        if root(origin) == root(self.me):
            return channel != CellChannel.SERVER_PARENT_LISTENER or (bool(job(origin)) and topic in _LISTENER_TOPICS)
        if job(self.me) and not job(origin):
            return channel == STREAM_CHANNEL and topic == STREAM_ERROR_TOPIC
        if channel in _PLUMBING:
            return True
        if self.me == SERVER_CELL:
            return self._server_allows(channel, topic, origin)
        if root(self.me) == SERVER_CELL:
            return channel == CellChannel.AUX_COMMUNICATION or (
                channel == CellChannel.SERVER_COMMAND and topic in _SITE_COMMANDS
            )
        if not job(self.me):
            return origin == SERVER_CELL and channel == CellChannel.CLIENT_MAIN
        return channel in _BETWEEN_JOBS

    @staticmethod
    def _server_allows(channel: str, topic: str, origin: str) -> bool:
        if is_valid_admin_client_name(origin):
            commands = {CellChannel.HCI, CellChannel.AUX_COMMUNICATION}
            return channel in commands or (channel == CellChannel.SERVER_MAIN and topic in _ADMIN_TOPICS)
        return not job(origin) and channel == CellChannel.SERVER_MAIN and topic in _SITE_TOPICS

    def _related(self, one: str, other: str) -> bool:
        """Whether two families have anything to say to each other."""
        hierarchical = self.parents.get(one) == other or self.parents.get(other) == one
        return one == other or SERVER_CELL in (one, other) or hierarchical

    def _what(self) -> str:
        return "a job's process" if job(self.me) else "a parent process"
