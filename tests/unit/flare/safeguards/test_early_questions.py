"""Questions about a job whose process has just been started."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from nvflare.fuel.f3.cellnet.defs import MessageHeaderKey, ReturnCode
from nvflare.fuel.f3.message import Message
from nvflare.private.fed.server.server_command_agent import ServerCommandAgent
from nvflare.private.fed.server.server_engine import ServerEngine

from flareseg.flare.safeguards.early_questions import QUESTIONS, EarlyQuestions, when_connected, when_running


@pytest.mark.parametrize("command", [*sorted(QUESTIONS), "abort"])
@pytest.mark.parametrize("connected", [True, False])
def test_a_process_is_asked_once_it_is_connected(command: str, connected: bool) -> None:
    asked = []
    core = SimpleNamespace(is_cell_connected=lambda name: connected and name == "server.job")
    engine = SimpleNamespace(cell=SimpleNamespace(core_cell=core))
    send = when_connected(lambda engine, *args, **kwargs: asked.append((args, kwargs)) or "answer")  # type: ignore[func-returns-value]
    passes = connected or command == "abort"
    assert send(engine, "job", command, command_data={}, timeout=1.0) == ("answer" if passes else None)
    assert asked == ([(("job", command), {"command_data": {}, "timeout": 1.0})] if passes else [])
    assert send(engine, job_id="job", command_name=command, command_data={}) == ("answer" if passes else None)


@pytest.mark.parametrize("command", [*sorted(QUESTIONS), "get_task"])
@pytest.mark.parametrize("manager", [None, object()])
def test_a_process_answers_once_its_run_has_begun(command: str, manager: Any) -> None:
    agent = SimpleNamespace(engine=SimpleNamespace(run_manager=manager))
    execute = when_running(lambda agent, request: Message({MessageHeaderKey.RETURN_CODE: ReturnCode.OK}))
    reply = execute(agent, Message({MessageHeaderKey.TOPIC: command}))
    early = manager is None and command in QUESTIONS
    expected = ReturnCode.SERVICE_UNAVAILABLE if early else ReturnCode.OK
    assert reply.get_header(MessageHeaderKey.RETURN_CODE) == expected


def test_nvflare_s_own_classes_take_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for owner, name in (
        (ServerEngine, "send_command_to_child_runner_process"),
        (ServerCommandAgent, "_execute_command"),
    ):
        monkeypatch.setattr(owner, name, getattr(owner, name))
    EarlyQuestions()
    assert ServerEngine.send_command_to_child_runner_process.__module__ == EarlyQuestions.__module__
    assert ServerCommandAgent._execute_command.__module__ == EarlyQuestions.__module__
