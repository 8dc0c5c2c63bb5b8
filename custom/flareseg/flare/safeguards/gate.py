"""The server's gate: what a site may ask of a job's server process, checked before NVFlare acts on it."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from nvflare.apis.dxo import from_shareable
from nvflare.apis.event_type import EventType
from nvflare.apis.fl_component import FLComponent
from nvflare.apis.fl_constant import FedEventHeader, ReservedKey, ReturnCode, ServerCommandNames
from nvflare.apis.fl_context import FLContext
from nvflare.apis.shareable import ReservedHeaderKey, Shareable
from nvflare.fuel.f3.cellnet.defs import MessageHeaderKey
from nvflare.fuel.f3.cellnet.defs import ReturnCode as CellReturnCode
from nvflare.fuel.f3.cellnet.fqcn import FQCN
from nvflare.fuel.f3.cellnet.utils import make_reply
from nvflare.fuel.f3.message import Message
from nvflare.private.defs import CellMessageHeaderKeys
from nvflare.widgets.fed_event import FED_EVENT_TOPIC

from flareseg.errors import plain
from flareseg.flare.names import Header
from flareseg.flare.safeguards.refused_messages import REFUSED

ALLOWED_EVENTS = frozenset({"fed.analytix_log_stats"})
"""Federation events that sites send: the curves. NVFlare would fire any other by its name, the server's own too."""
WRONG_IDENTITY = "WRONG_IDENTITY"
_TAG_LENGTH = 100


class JobGate(FLComponent):
    """Refuses what a registered site could otherwise do to a job through NVFlare 2.9.

    - Send a result or an event in another site's name: NVFlare takes the name from what the site says of itself. It is
      compared with the site to which the message's token was given; a result is then recorded as a failure of the true
      sender.
    - Fire the server's own events: a federation event is fired at the server under any name it bears.
    - End the job of all with one of three return codes: here such a result is a failure of its sender.

    Listed among the components of the server's ``local/privacy.json``, so that NVFlare adds it to every job's process
    whatever the job says.
    """

    def handle_event(self, event_type: str, fl_ctx: FLContext) -> None:
        """Stand before the message handlers of the job's process as its run starts."""
        if event_type != EventType.START_RUN:
            return
        server = fl_ctx.get_engine().server
        server.server_runner.ABORT_RETURN_CODES = []
        agent = server.command_agent
        agent._execute_command = self._guarded(agent._execute_command, self._refuse_command, server)
        agent._aux_communicate = self._guarded(agent._aux_communicate, self._refuse_aux, server)

    def _guarded(
        self, handler: Callable[[Message], Message], refuse: Callable[[str, Message], str], server: Any
    ) -> Callable[[Message], Message]:
        def guarded(message: Message) -> Message:
            # The origin is what CellBoundary compared with the certificate at the other end of the connection.
            site = FQCN.split(message.get_header(MessageHeaderKey.ORIGIN) or "?")[0]
            if site == FQCN.ROOT_SERVER:
                return handler(message)
            client = server.client_manager.clients.get(message.get_header(CellMessageHeaderKeys.TOKEN))
            try:
                reason = refuse(site, message) if client is None or client.name == site else "its token is another's"
            except Exception as error:  # whatever a site sends must not end more than its own message
                reason = f"unreadable ({type(error).__name__})"
            if not reason:
                return handler(message)
            REFUSED.note(site, reason)
            return make_reply(CellReturnCode.INVALID_REQUEST, error=reason)

        return guarded

    def _refuse_command(self, site: str, message: Message) -> str:
        if message.get_header(MessageHeaderKey.TOPIC) == ServerCommandNames.SUBMIT_UPDATE:
            self._check_sender(site, message.payload)
        return ""

    def _check_sender(self, site: str, result: Shareable) -> None:
        context = result.get_peer_context()
        said = context.get_identity_name() if isinstance(context, FLContext) else None
        if said == site:
            return
        self.logger.error(f"result of site {site} refused: it was sent in the name of {plain(str(said))}")
        headers = dict(result.get(ReservedHeaderKey.HEADERS, {}))
        result.clear()
        result[ReservedHeaderKey.HEADERS] = headers
        result.set_return_code(ReturnCode.BAD_PEER_CONTEXT)
        result.set_header(Header.ERROR, {"code": WRONG_IDENTITY, "case": None})
        if isinstance(context, FLContext):
            context.set_prop(ReservedKey.IDENTITY_NAME, site, private=False, sticky=False)

    @staticmethod
    def _refuse_aux(site: str, message: Message) -> str:
        request = message.payload
        said = request.get_peer_prop(ReservedKey.IDENTITY_NAME, None)
        if said != site:
            return f"it was sent in the name of {said}"
        if message.get_header(MessageHeaderKey.TOPIC) != FED_EVENT_TOPIC:
            return ""
        event = request.get_header(FedEventHeader.EVENT_TYPE)
        if event not in ALLOWED_EVENTS:
            return f"the event {event} is not a site's to fire"
        return "" if is_number(request) else f"the event {event} should hold one named number"


def is_number(event: Shareable) -> bool:
    """Whether a curve's event holds one finite number under a short name."""
    data = from_shareable(event).data
    name, value = data.get("track_key"), data.get("track_value")
    fits = isinstance(name, str) and 0 < len(name) <= _TAG_LENGTH and name.isprintable()
    return fits and isinstance(value, int | float) and math.isfinite(value)
