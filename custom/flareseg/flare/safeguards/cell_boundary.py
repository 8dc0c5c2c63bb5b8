"""The trust boundary between NVFlare's cells: a process hears whom it has to hear, and does what is theirs to ask.

NVFlare 2.9 trusts whoever is registered: the server passes messages between sites, and a site's processes do what any
of them says. Here every cell of a process checks where a message comes from before NVFlare sees it, and again at each
handler, where channel and topic are final however the message came: alone, in bulk or as a stream.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import nvflare.fuel.f3.cellnet.cell as cell_module
from nvflare.apis.event_type import EventType
from nvflare.apis.fl_component import FLComponent
from nvflare.apis.fl_context import FLContext
from nvflare.fuel.f3.cellnet.cell import Cell
from nvflare.fuel.f3.cellnet.core_cell import CoreCell
from nvflare.fuel.f3.cellnet.defs import CellChannel, CellChannelTopic, MessageHeaderKey, ReturnCode
from nvflare.fuel.f3.cellnet.identity import is_mtls_connection
from nvflare.fuel.f3.cellnet.utils import make_reply
from nvflare.fuel.f3.connection import Connection
from nvflare.fuel.f3.drivers.driver_params import DriverParams
from nvflare.fuel.f3.endpoint import Endpoint
from nvflare.fuel.f3.message import Message
from nvflare.fuel.f3.streaming.byte_streamer import ByteStreamer
from nvflare.fuel.f3.streaming.stream_const import STREAM_ACK_TOPIC, STREAM_CHANNEL, STREAM_ERROR_TOPIC, StreamHeaderKey
from nvflare.fuel.utils.admin_name_utils import is_valid_admin_client_name
from nvflare.private.admin_defs import error_reply
from nvflare.private.defs import CellMessageHeaderKeys, new_cell_message
from nvflare.private.fed.client import fed_client_base
from nvflare.private.fed.server import fed_server
from nvflare.private.fed.server.server_engine import ServerEngine

from flareseg.errors import SettingsError
from flareseg.flare.names import answering
from flareseg.flare.safeguards.boundary_rules import SERVER_CELL, BoundaryRules, job, root
from flareseg.flare.safeguards.job_failures import JobFailures
from flareseg.flare.safeguards.refused_messages import REFUSED
from flareseg.flare.safeguards.site_commands import command_refusal

Handler = Callable[..., Message | None]
_parents: dict[str, str] = {}


class GuardedCoreCell(CoreCell):
    """NVFlare's cell with the boundary at both of its doors: where messages arrive, and where they are handled."""

    def __init__(self, fqcn: str, *args: Any, **kwargs: Any) -> None:
        self.rules = BoundaryRules(fqcn, dict(_parents))
        if root(fqcn) == SERVER_CELL and job(fqcn):
            REFUSED.jobs = lambda: [job(fqcn)]
        super().__init__(fqcn, *args, **kwargs)

    def process_message(self, endpoint: Endpoint, connection: Connection, app_id: int, message: Message) -> None:
        """Take a message from the network, or refuse it unread."""
        reason = self._refusal_on_the_way(endpoint.name, connection, message)
        if reason:
            # The server has checked what it passes on: there the origin is who was at the other end.
            origin = message.get_header(MessageHeaderKey.ORIGIN)
            passed_on = root(endpoint.name) == SERVER_CELL and isinstance(origin, str)
            REFUSED.note(root(origin if passed_on else endpoint.name), reason)
            return
        message.remove_header(MessageHeaderKey.CONN_URL)  # an address that this cell would connect to
        super().process_message(endpoint, connection, app_id, message)

    def register_request_cb(self, channel: str, topic: str, cb: Handler, *args: Any, **kwargs: Any) -> None:
        """Register a handler behind the boundary."""
        guard = cb if getattr(cb, "is_guard", False) else self.guarded(channel, topic, cb)
        super().register_request_cb(channel, topic, guard, *args, **kwargs)

    def guarded(self, channel: str, topic: str, handler: Handler) -> Handler:
        """A handler that is called for what the sender may ask, and otherwise answers with a refusal."""
        if (channel, topic) == (CellChannel.SERVER_MAIN, CellChannelTopic.REPORT_JOB_FAILURE):
            handler = JobFailures(handler.__self__).guarded(handler)  # type: ignore[attr-defined]

        def guard(message: Message, *args: Any, **kwargs: Any) -> Message | None:
            origin = str(message.get_header(MessageHeaderKey.ORIGIN))
            reason = self._refusal_of_request(channel, topic, origin, message)
            if not reason and channel == CellChannel.CLIENT_MAIN:
                reason = command_refusal(message.payload, origin)
                if reason:
                    REFUSED.note(root(origin), reason)
                    return new_cell_message({}, error_reply(reason))
            if reason:
                REFUSED.note(root(origin), reason)
                return make_reply(ReturnCode.UNAUTHENTICATED, error=reason)
            with answering(origin):
                return handler(message, *args, **kwargs)

        guard.is_guard = True  # type: ignore[attr-defined]
        return guard

    def _refusal_on_the_way(self, neighbour: str, connection: Connection | None, message: Message) -> str:
        keys = (MessageHeaderKey.ORIGIN, MessageHeaderKey.DESTINATION)
        origin, destination = (message.get_header(key) for key in keys)
        channel, topic = (message.get_header(key, "") for key in (MessageHeaderKey.CHANNEL, MessageHeaderKey.TOPIC))
        if not all(isinstance(item, str) for item in (origin, destination, channel, topic)):
            return "its headers are no text"
        if is_valid_admin_client_name(neighbour) and not _is_of_a_person(connection):
            return "it says it is an administrator, with a certificate that is not a person's"
        if root(neighbour) != root(self.rules.me) and self._is_open(connection):
            return f"it says it is {neighbour}, on a connection that asks for no certificate"
        reason = self.rules.on_the_way(neighbour, origin, destination)
        return f"{topic} on {channel}: {reason}" if reason else ""

    def _is_open(self, connection: Connection | None) -> bool:
        """Whether anybody on this machine could have made the connection, where others are asked for a certificate."""
        enforced = self.credential_manager.enforce_identity
        return enforced and connection is not None and not is_mtls_connection(connection.connector.params)

    def _refusal_of_request(self, channel: str, topic: str, origin: str, message: Message) -> str:
        said = message.get_header(MessageHeaderKey.TOPIC, "")
        if message.get_header(MessageHeaderKey.CHANNEL, "") != channel or topic not in ("*", said):
            return f"it came as something else than {topic} on {channel}"
        name = message.get_header(CellMessageHeaderKeys.CLIENT_NAME)
        of_a_site = channel == CellChannel.SERVER_MAIN and not is_valid_admin_client_name(origin)
        if of_a_site and name not in (None, origin):
            return f"it says it is {name}"
        reason = self.rules.request(channel, said, origin, message.get_header(CellMessageHeaderKeys.JOB_ID))
        if reason or channel != STREAM_CHANNEL or root(origin) == root(self.rules.me):
            return reason
        if topic in (STREAM_ACK_TOPIC, STREAM_ERROR_TOPIC):
            return self._refusal_of_answer(origin, message)
        inner, its_topic = (message.get_header(key) for key in (StreamHeaderKey.CHANNEL, StreamHeaderKey.TOPIC))
        return "" if inner is None else self.rules.request(str(inner), str(its_topic), origin)

    def _refusal_of_answer(self, origin: str, message: Message) -> str:
        """Why it may not acknowledge a stream or end it: NVFlare asks for the stream's number, not who receives it."""
        with ByteStreamer.map_lock:
            stream = ByteStreamer.tx_task_map.get(message.get_header(StreamHeaderKey.STREAM_ID))
        if stream is None or root(origin) in (SERVER_CELL, root(stream.target)):
            return ""
        return f"it answers a stream that goes to {root(stream.target)}"


def _is_of_a_person(connection: Connection | None) -> bool:
    """Whether a certificate names a user; NVFlare lets any certificate open an administrator's session."""
    name = connection.get_conn_properties().get(DriverParams.PEER_CN.value) if connection else None
    return name in (None, "N/A") or "@" in str(name)


class GuardedCell(Cell):
    """NVFlare's cell for requests and streams, with the boundary before handlers that get their message by stream."""

    def _register_request_cb(self, channel: str, topic: str, cb: Handler, *args: Any, **kwargs: Any) -> None:
        super()._register_request_cb(channel, topic, self.core_cell.guarded(channel, topic, cb), *args, **kwargs)


def install(parents: Mapping[str, str]) -> None:
    """Have every cell that this process makes from now on guarded."""
    _parents.update(parents)
    # NVFlare 2.9 ends a job's process at the server where one site's update cannot be read, or one site says that what
    # it was sent is too large: here both are that site's own failure.
    cell_module._is_server_job_cell = lambda my_info: False
    cell_module.CoreCell = GuardedCoreCell
    fed_client_base.Cell = GuardedCell
    fed_server.Cell = GuardedCell


def is_installed() -> bool:
    """Whether the cells that this process makes are guarded."""
    return (cell_module.CoreCell, fed_client_base.Cell, fed_server.Cell) == (GuardedCoreCell, GuardedCell, GuardedCell)


class CellBoundary(FLComponent):
    """Puts the boundary into a process of NVFlare's.

    Listed first among the components of ``startup/fed_server.json`` and ``fed_client.json``, which NVFlare reads in
    the parent's and in each job's process, at the server and at a site, and builds before it makes a cell. The file is
    signed, and an operator's own ``local/resources.json`` does not take its place.

    Args:
        parents: for hierarchical jobs, the site that stands over a site.
    """

    def __init__(self, parents: dict[str, str] | None = None) -> None:
        super().__init__()
        install(parents or {})

    def handle_event(self, event_type: str, fl_ctx: FLContext) -> None:
        """Learn, in the server's parent process, in which jobs' records a refused message belongs."""
        if event_type == EventType.SYSTEM_START and isinstance(engine := fl_ctx.get_engine(), ServerEngine):
            REFUSED.jobs = lambda: list(engine.run_processes)


class BoundaryRequired(FLComponent):
    """Ends the process where :class:`CellBoundary` is missing.

    Listed among the components of ``local/resources.json`` and ``local/privacy.json``.

    Raises:
        SettingsError: the cells of this process are not guarded.
    """

    def __init__(self) -> None:
        super().__init__()
        if not is_installed():
            raise SettingsError(
                "This kit does not guard its cells: any registered site could command it.",
                "Unpack the kit anew: CellBoundary is missing in startup/fed_client.json or fed_server.json.",
            )
