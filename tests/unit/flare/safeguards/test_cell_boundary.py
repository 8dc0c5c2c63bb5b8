"""The guarded cell, with NVFlare's own messages in one process; and every name of NVFlare's that it stands on."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import nvflare
import nvflare.fuel.f3.cellnet.cell as cell_module
import pytest
from nvflare.apis.event_type import EventType
from nvflare.apis.fl_context import FLContext
from nvflare.fuel.f3.cellnet.cell import Adapter, Cell
from nvflare.fuel.f3.cellnet.core_cell import CoreCell
from nvflare.fuel.f3.cellnet.defs import MessageHeaderKey, MessageType, ReturnCode
from nvflare.fuel.f3.cellnet.utils import encode_payload
from nvflare.fuel.f3.endpoint import Endpoint
from nvflare.fuel.f3.message import Message
from nvflare.fuel.f3.stats_pool import StatsPoolManager
from nvflare.fuel.f3.streaming.byte_streamer import ByteStreamer
from nvflare.fuel.f3.streaming.stream_const import STREAM_ACK_TOPIC, STREAM_CHANNEL, StreamHeaderKey
from nvflare.fuel.utils.config_service import ConfigService
from nvflare.private.fed.client import fed_client_base
from nvflare.private.fed.server import fed_server, job_runner
from nvflare.private.fed.server.fed_server import FederatedServer
from nvflare.private.fed.server.server_engine import ServerEngine

from flareseg.errors import SettingsError
from flareseg.flare.names import answering, recipient
from flareseg.flare.safeguards import cell_boundary
from flareseg.flare.safeguards.cell_boundary import BoundaryRequired, CellBoundary, GuardedCell, GuardedCoreCell
from flareseg.flare.safeguards.refused_messages import REFUSED

JOB = "4091efd1-5814-4fb4-a8a0-03d5b6ab97cb"
AUX = "aux_communication"


@pytest.fixture(autouse=True)
def noted(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """NVFlare's names as they were, and what is refused meanwhile."""
    names = ((cell_module, "CoreCell"), (cell_module, "_is_server_job_cell"))
    for module, name in (*names, (fed_client_base, "Cell"), (fed_server, "Cell")):
        monkeypatch.setattr(module, name, getattr(module, name))
    monkeypatch.setattr(cell_boundary, "_parents", {})
    refused: list[tuple[str, str]] = []
    monkeypatch.setattr(REFUSED, "note", lambda sender, reason: refused.append((sender, reason)))
    return refused


@pytest.fixture
def make(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], Cell]]:
    """Makes a cell as NVFlare's processes do, which is never started: nothing listens, nothing connects."""
    monkeypatch.setattr(ConfigService, "_config_path", [])
    monkeypatch.setattr(StatsPoolManager, "pools", dict(StatsPoolManager.pools))
    cell_boundary.install({})

    def made(name: str) -> Cell:
        return fed_client_base.Cell(name, root_url="http://localhost:1", secure=False, credentials={})

    yield made
    for name in ("server", f"server.{JOB}", "hospital-a", f"hospital-a.{JOB}"):
        CoreCell.ALL_CELLS.pop(name, None)


class Handler:
    """Stands for one of NVFlare's handlers."""

    def __init__(self) -> None:
        self.heard: list[Any] = []
        self.recipients: list[str] = []

    def __call__(self, message: Message) -> Message:
        self.heard.append(message.payload)
        self.recipients.append(recipient())
        return Message({MessageHeaderKey.RETURN_CODE: ReturnCode.OK})

    __name__ = "handler"


def message(channel: str, topic: str, origin: str, destination: str, payload: Any = "x", **more: Any) -> Message:
    headers = {
        MessageHeaderKey.CHANNEL: channel,
        MessageHeaderKey.TOPIC: topic,
        MessageHeaderKey.ORIGIN: origin,
        MessageHeaderKey.DESTINATION: destination,
        MessageHeaderKey.FROM_CELL: origin,
        MessageHeaderKey.MSG_TYPE: MessageType.REQ,
        MessageHeaderKey.REPLY_EXPECTED: False,
    }
    return Message({**headers, **more}, payload)


def arrives(cell: Cell, neighbour: str, message: Message) -> None:
    encode_payload(message)
    cell.core_cell.process_message(Endpoint(neighbour), None, CoreCell.APP_ID, message)


def test_a_message_of_who_may_ask_is_handled_and_another_is_not(
    make: Callable[[str], Cell], noted: list[tuple[str, str]]
) -> None:
    cell, handler = make(f"hospital-a.{JOB}"), Handler()
    cell.register_request_cb(channel=AUX, topic="*", cb=handler)
    arrives(cell, "server", message(AUX, "do", f"server.{JOB}", f"hospital-a.{JOB}"))
    assert handler.heard == ["x"]
    assert handler.recipients == ["server"]
    assert noted == []
    arrives(cell, "server", message(AUX, "do", f"hospital-c.{JOB}", f"hospital-a.{JOB}"))
    arrives(cell, "server", message(AUX, "do", "server", f"hospital-a.{JOB}"))
    assert handler.heard == ["x"]
    assert [sender for sender, _ in noted] == ["hospital-c", "server"]


def test_a_message_in_bulk_reaches_no_handler_that_its_sender_may_not_ask(
    make: Callable[[str], Cell], noted: list[tuple[str, str]]
) -> None:
    """NVFlare passes what is inside to the handlers as if it had come alone, past its filters."""
    cell, handler = make(f"hospital-a.{JOB}"), Handler()
    cell.register_request_cb(channel=AUX, topic="*", cb=handler)
    inner = [{"target": f"hospital-a.{JOB}", "channel": AUX, "topic": "do", "message": {"headers": {}, "payload": "x"}}]
    for origin, passes in ((f"server.{JOB}", True), (f"hospital-c.{JOB}", False), ("server", False)):
        handler.heard.clear()
        cell.core_cell._process_one_bulk(message("cellnet.channel", "bulk", origin, f"hospital-a.{JOB}", inner))
        assert bool(handler.heard) is passes, origin
    assert [sender for sender, _ in noted] == ["hospital-c", "server"]


def test_a_bulk_from_another_family_is_refused(make: Callable[[str], Cell], noted: list[tuple[str, str]]) -> None:
    cell = make("server")
    arrives(cell, "hospital-c", message("cellnet.channel", "bulk", "hospital-c", "server", []))
    assert cell.core_cell.bulk_messages == []
    assert noted == [("hospital-c", "bulk on cellnet.channel is not for it to ask of a parent process")]


@pytest.mark.parametrize(
    ("origin", "channel", "passes"),
    [(f"server.{JOB}", AUX, True), (f"hospital-c.{JOB}", AUX, False), (f"server.{JOB}", "server_command", False)],
)
def test_what_comes_as_a_stream_is_checked_where_it_is_handled(
    make: Callable[[str], Cell], noted: list[tuple[str, str]], origin: str, channel: str, passes: bool
) -> None:
    cell, handler = make(f"hospital-a.{JOB}"), Handler()
    cell.register_request_cb(channel=AUX, topic="*", cb=handler)
    received = cell.blob_streamer.byte_receiver.registry.find(AUX, "do").cb.__self__.blob_cb
    stream = Message({}, "x")
    encode_payload(stream, StreamHeaderKey.PAYLOAD_ENCODING)
    headers = {
        **stream.headers,
        StreamHeaderKey.CHANNEL: channel,
        StreamHeaderKey.TOPIC: "do",
        MessageHeaderKey.ORIGIN: origin,
    }
    received(SimpleNamespace(headers=headers, result=lambda: stream.payload))
    assert bool(handler.heard) is passes
    assert bool(noted) is not passes


@pytest.mark.parametrize("key", [MessageHeaderKey.ORIGIN, MessageHeaderKey.DESTINATION, MessageHeaderKey.CHANNEL])
@pytest.mark.parametrize("value", [None, 7, ["server"], {"a": "b"}])
def test_headers_are_text(make: Callable[[str], Cell], noted: list[tuple[str, str]], key: str, value: object) -> None:
    cell, handler = make("server"), Handler()
    cell.register_request_cb(channel="task", topic="*", cb=handler)
    arrives(cell, "hospital-a", message("task", "heart_beat", "hospital-a", "server", **{key: value}))
    assert handler.heard == []
    assert noted == [("hospital-a", "its headers are no text")]


def test_an_address_to_connect_to_is_taken_off(make: Callable[[str], Cell], monkeypatch: pytest.MonkeyPatch) -> None:
    """NVFlare would connect there, whatever ``allow_adhoc_conns`` says."""
    cell, handler = make("server"), Handler()
    cell.register_request_cb(channel="task", topic="*", cb=handler)
    called: list[Any] = []
    monkeypatch.setattr(cell.core_cell, "_add_adhoc_connector", lambda *args: called.append(args))
    more = {MessageHeaderKey.CONN_URL: "tcp://10.0.0.1:22", MessageHeaderKey.FROM_CELL: "x"}
    arrives(cell, "hospital-a", message("task", "heart_beat", "hospital-a", "server", **more))
    assert handler.heard == ["x"]
    assert called == []


@pytest.mark.parametrize(
    ("name", "neighbour", "connection", "reason"),
    [
        (
            "an administrator's session",
            "_admin_0b2a5c0e-3f43-4f0f-9a55-6e7b4d8d9a10",
            {"peer_cn": "hospital-c"},
            "person",
        ),
        ("a process beside the server", "hospital-a", {}, "asks for no certificate"),
    ],
)
def test_a_name_without_its_certificate_is_refused(
    make: Callable[[str], Cell],
    noted: list[tuple[str, str]],
    name: str,
    neighbour: str,
    connection: dict[str, str],
    reason: str,
) -> None:
    cell = make("server")
    cell.core_cell.credential_manager.enforce_identity = True  # as with mutual TLS
    open_port = SimpleNamespace(
        connector=SimpleNamespace(params={"scheme": "tcp"}), get_conn_properties=lambda: dict(connection)
    )
    request = message("task", "register", neighbour, "server")
    encode_payload(request)
    cell.core_cell.process_message(Endpoint(neighbour), open_port, CoreCell.APP_ID, request)
    assert len(noted) == 1
    assert reason in noted[0][1], name


def test_a_site_speaks_in_its_own_name_to_the_server(make: Callable[[str], Cell], noted: list[tuple[str, str]]) -> None:
    cell, handler = make("server"), Handler()
    cell.register_request_cb(channel="task", topic="*", cb=handler)
    arrives(cell, "hospital-c", message("task", "heart_beat", "hospital-c", "server", client_name="hospital-a"))
    names = {"__client_name__": "hospital-a"}
    arrives(cell, "hospital-c", message("task", "heart_beat", "hospital-c", "server", **names))
    assert len(handler.heard) + len(noted) == 2
    assert noted == [("hospital-c", "it says it is hospital-a")]


def test_a_process_without_the_boundary_ends() -> None:
    with pytest.raises(SettingsError, match="does not guard its cells"):
        BoundaryRequired()
    CellBoundary({"child": "parent"})
    BoundaryRequired()
    assert fed_client_base.Cell is GuardedCell
    assert fed_server.Cell is GuardedCell
    assert cell_boundary._parents == {"child": "parent"}


def test_the_server_s_processes_know_which_jobs_run(
    make: Callable[[str], Cell], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(REFUSED, "jobs", lambda: ())
    make(f"hospital-a.{JOB}")
    assert list(REFUSED.jobs()) == []
    make(f"server.{JOB}")
    assert list(REFUSED.jobs()) == [JOB]
    engine = ServerEngine.__new__(ServerEngine)
    engine.run_processes = {"a": 1, "b": 2}
    fl_ctx = FLContext()
    monkeypatch.setattr(fl_ctx, "get_engine", lambda: engine)
    CellBoundary().handle_event(EventType.SYSTEM_START, fl_ctx)
    assert list(REFUSED.jobs()) == ["a", "b"]


def test_a_stream_is_answered_by_whom_it_goes_to(
    make: Callable[[str], Cell], noted: list[tuple[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """NVFlare compares the number of the stream alone, and an answer with an error ends it."""
    cell, heard = make(f"server.{JOB}"), []
    stream = SimpleNamespace(target=f"hospital-a.{JOB}", handle_ack=lambda message: heard.append(message))
    monkeypatch.setattr(ByteStreamer, "tx_task_map", {7: stream})
    handler = cell.core_cell.req_reg.find(STREAM_CHANNEL, STREAM_ACK_TOPIC).cb
    for origin in (f"hospital-c.{JOB}", f"hospital-a.{JOB}"):
        more = {StreamHeaderKey.STREAM_ID: 7}
        handler(message(STREAM_CHANNEL, STREAM_ACK_TOPIC, origin, f"server.{JOB}", None, **more))
    assert len(heard) == 1
    assert noted == [("hospital-c", "it answers a stream that goes to hospital-a")]


def test_one_site_s_message_does_not_end_a_job_s_process_at_the_server(make: Callable[[str], Cell]) -> None:
    cell = make(f"server.{JOB}")
    assert not cell_module._is_server_job_cell(cell.core_cell.my_info)
    source = inspect.getsource(cell_module)
    assert source.count("os._exit(1)") == source.count("_is_server_job_cell(") - 1 == 4


def test_the_recipient_is_who_asks_and_otherwise_the_server() -> None:
    assert recipient() == "server"
    with answering(f"hospital-b.{JOB}"):
        assert recipient() == "hospital-b"
    assert recipient() == "server"


def test_the_private_names_of_this_nvflare() -> None:
    """Each is used by the boundary, and none is promised to stay: a new version is read before it is used."""
    assert nvflare.__version__.startswith("2.9.")
    assert "self.core_cell = CoreCell(*args, **kwargs)" in inspect.getsource(Cell.__init__)
    assert "self.core_cell.register_request_cb(channel, topic, cb" in inspect.getsource(Cell._register_request_cb)
    assert "Adapter(cb, " in inspect.getsource(Cell._register_request_cb)
    assert "request.set_header(MessageHeaderKey.CHANNEL, channel)" in inspect.getsource(Adapter.call)
    assert list(inspect.signature(CoreCell.process_message).parameters)[1:] == [
        "endpoint",
        "connection",
        "app_id",
        "message",
    ]
    assert "self._process_request(origin=origin, message=req)" in inspect.getsource(CoreCell._process_one_bulk)
    for module in (fed_client_base, fed_server):
        assert "Cell(" in inspect.getsource(module)
    failure = inspect.getsource(FederatedServer.process_job_failure)
    for name in (
        "client_manager.clients.get(token)",
        "is_client_outcome_pending(job_id, client_name)",
        "resolve_client",
    ):
        assert name in failure
    assert "self.running_jobs" in inspect.getsource(job_runner)
    assert issubclass(GuardedCoreCell, CoreCell)
    assert json.dumps(sorted(fed_server.FederatedServer.__init__.__code__.co_varnames))
