"""What passes the gate of a job's server process, message by message."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from nvflare.apis.dxo import DXO, DataKind
from nvflare.apis.event_type import EventType
from nvflare.apis.fl_constant import FedEventHeader, ReservedKey
from nvflare.apis.fl_context import FLContext
from nvflare.apis.shareable import Shareable
from nvflare.fuel.f3.cellnet.defs import MessageHeaderKey, ReturnCode
from nvflare.fuel.f3.message import Message
from nvflare.private.defs import CellMessageHeaderKeys

from flareseg.flare.safeguards.gate import JobGate

A, B = SimpleNamespace(name="hospital-a"), SimpleNamespace(name="hospital-b")


class Server:
    """The parts of NVFlare's server that the gate stands before."""

    def __init__(self) -> None:
        self.passed: list[Message] = []
        self.agent = SimpleNamespace(_execute_command=self.handle, _aux_communicate=self.handle)
        runner = SimpleNamespace(ABORT_RETURN_CODES=["UNSAFE_JOB"])
        clients = SimpleNamespace(clients={"token-a": A, "token-b": B})
        self.server = SimpleNamespace(server_runner=runner, command_agent=self.agent, client_manager=clients)
        fl_ctx = FLContext()
        fl_ctx.set_prop(ReservedKey.ENGINE, SimpleNamespace(server=self.server))
        JobGate().handle_event(EventType.START_RUN, fl_ctx)
        assert runner.ABORT_RETURN_CODES == []

    def handle(self, message: Message) -> Message:
        self.passed.append(message)
        return Message({MessageHeaderKey.RETURN_CODE: ReturnCode.OK})

    def passes(self, message: Message, *, aux: bool = False) -> bool:
        reply = (self.agent._aux_communicate if aux else self.agent._execute_command)(message)
        assert (message in self.passed) == (reply.get_header(MessageHeaderKey.RETURN_CODE) == ReturnCode.OK)
        return message in self.passed


def message(topic: str, payload: Any, *, origin: str = "hospital-a.job", token: str = "token-a") -> Message:
    name = {"token-a": "hospital-a", "token-b": "hospital-b"}.get(token, "hospital-a")
    headers = {
        MessageHeaderKey.TOPIC: topic,
        MessageHeaderKey.ORIGIN: origin,
        CellMessageHeaderKeys.TOKEN: token,
        CellMessageHeaderKeys.CLIENT_NAME: name,
    }
    return Message(headers, payload)


def said_by(name: str) -> dict[str, str]:
    return {ReservedKey.IDENTITY_NAME: name}


@pytest.mark.parametrize(
    ("token", "passes"), [("token-a", True), ("a token of after a restart", True), ("token-b", False)]
)
def test_a_site_has_a_token_of_its_own(token: str, passes: bool) -> None:
    assert Server().passes(message("get_task", Shareable(), token=token)) is passes


def test_the_server_s_own_process_gives_every_command() -> None:
    server = Server()
    for origin in ("server", "server.job"):
        assert server.passes(message("show_stats", Shareable(), origin=origin, token="job"))
        assert server.passes(message("fed.event", Shareable(), origin=origin, token="job"), aux=True)


@pytest.mark.parametrize(("name", "code"), [("hospital-a", "OK"), ("hospital-b", "BAD_PEER_CONTEXT")])
def test_a_result_counts_for_who_sent_it(name: str, code: str) -> None:
    server = Server()
    result = DXO(DataKind.WEIGHT_DIFF, data={"w": 1}).to_shareable()
    context = FLContext()
    context.set_public_props(said_by(name))
    result.set_peer_context(context)
    assert server.passes(message("submit_update", result))
    assert result.get_return_code("OK") == code
    assert context.get_identity_name() == "hospital-a"
    assert ("DXO" in result) == (code == "OK")


@pytest.mark.parametrize(
    ("name", "event", "value", "passes"),
    [
        ("hospital-a", "fed.analytix_log_stats", 0.5, True),
        ("hospital-b", "fed.analytix_log_stats", 0.5, False),
        ("hospital-a", "_fatal_system_error", 0.5, False),
        ("hospital-a", "fed.analytix_log_stats", "Doe^Jane", False),
        ("hospital-a", None, 0.5, False),
    ],
)
def test_a_site_fires_the_curves_in_its_own_name(name: str, event: str | None, value: Any, passes: bool) -> None:
    request = DXO(DataKind.ANALYTIC, data={"track_key": "loss", "track_value": value}).to_shareable()
    request.set_header(FedEventHeader.EVENT_TYPE, event)
    request.set_peer_props(said_by(name))
    assert Server().passes(message("fed.event", request), aux=True) == passes


def test_what_cannot_be_read_is_refused() -> None:
    assert not Server().passes(message("fed.event", None), aux=True)
    assert not Server().passes(message("submit_update", None))
