"""Questions about a job that has not begun: answered with "not yet", where NVFlare 2.9 logs errors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nvflare.apis.fl_component import FLComponent
from nvflare.apis.fl_constant import ServerCommandNames
from nvflare.fuel.f3.cellnet.defs import MessageHeaderKey, ReturnCode
from nvflare.fuel.f3.cellnet.fqcn import FQCN
from nvflare.fuel.f3.cellnet.utils import make_reply
from nvflare.fuel.f3.message import Message
from nvflare.private.fed.server.server_command_agent import ServerCommandAgent
from nvflare.private.fed.server.server_engine import ServerEngine

QUESTIONS = frozenset(
    {
        ServerCommandNames.GET_RUN_INFO,
        ServerCommandNames.SHOW_STATS,
        ServerCommandNames.GET_ERRORS,
        ServerCommandNames.RESET_ERRORS,
    }
)


class EarlyQuestions(FLComponent):
    """Mends what who watches a job from its first second does to the logs of a healthy run.

    NVFlare's server passes ``show_stats`` on to the job's process, which needs some seconds to start. Until it is
    connected the message cannot be sent, and until its run has begun the answer is an exception: two pairs of errors
    for each question. The answer stays what it was: nothing is known yet.

    Listed among the components of the server's ``local/resources.json``.
    """

    def __init__(self) -> None:
        super().__init__()
        ServerEngine.send_command_to_child_runner_process = when_connected(
            ServerEngine.send_command_to_child_runner_process
        )
        ServerCommandAgent._execute_command = when_running(ServerCommandAgent._execute_command)


def when_connected(send: Callable[..., Any]) -> Callable[..., Any]:
    """Ask a job's process only once it is connected."""

    def sent(engine: Any, job_id: str, command_name: str, *args: Any, **kwargs: Any) -> Any:
        process = FQCN.join([FQCN.ROOT_SERVER, job_id])
        if command_name in QUESTIONS and not engine.cell.core_cell.is_cell_connected(process):
            return None
        return send(engine, job_id, command_name, *args, **kwargs)

    return sent


def when_running(execute: Callable[[Any, Message], Message]) -> Callable[[Any, Message], Message]:
    """Answer a question only once the run has begun."""

    def executed(agent: Any, request: Message) -> Message:
        if request.get_header(MessageHeaderKey.TOPIC) in QUESTIONS and agent.engine.run_manager is None:
            return make_reply(ReturnCode.SERVICE_UNAVAILABLE)
        return execute(agent, request)

    return executed
