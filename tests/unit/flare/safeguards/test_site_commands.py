"""What a site's parent process is asked, and whose right it is."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest
from nvflare.fuel.sec.authz import AuthzContext, Person
from nvflare.private.admin_defs import Message
from nvflare.private.defs import RequestHeader, TrainingTopic
from nvflare.private.fed.client.client_req_processors import ClientRequestProcessors
from nvflare.security.security import FLAuthorizer

from flareseg.flare.provision.policy import AUTHORIZATION
from flareseg.flare.safeguards.site_commands import OF_THE_SCHEDULER, RIGHTS, command_refusal, is_job_id

JOB = str(uuid4())


def command(topic: str, **headers: Any) -> Message:
    message = Message(topic, "")
    message.set_headers(headers)
    return message


@pytest.mark.parametrize("said", [{}, {"require_authz": "false", "admin_command": "check_resources"}])
@pytest.mark.parametrize(("topic", "right"), RIGHTS.items())
def test_a_command_is_authorised_whatever_its_headers_say(topic: str, right: str, said: dict[str, str]) -> None:
    message = command(topic, **said)
    assert command_refusal(message, "server") == ""
    assert message.get_header(RequestHeader.ADMIN_COMMAND) == right
    assert message.get_header(RequestHeader.REQUIRE_AUTHZ) == "true"


@pytest.mark.parametrize("right", RIGHTS.values())
def test_nobody_has_no_right_and_a_project_admin_has_each(right: str) -> None:
    authorizer = FLAuthorizer("hospital_a", AUTHORIZATION)
    admin, nobody = Person("a@x.org", "consortium", "project_admin"), Person("", "", "")
    assert authorizer.authorize(AuthzContext(right, admin))[0]
    assert not authorizer.authorize(AuthzContext(right, nobody))[0]


@pytest.mark.parametrize("topic", ["sys.shell", "sys.report_env", "train.abort_task", "comp_caller.call", "unknown"])
def test_what_is_not_to_be_had(topic: str) -> None:
    assert "not to be had" in command_refusal(command(topic), "server")


@pytest.mark.parametrize("topic", sorted(OF_THE_SCHEDULER))
def test_the_scheduler_speaks_of_jobs_by_their_id(topic: str) -> None:
    assert command_refusal(command(topic, job_id=JOB), "server") == ""
    for path in ("privacy", "local", "../x", "/etc", f"{JOB}/..", JOB.replace("-", ""), 7):
        assert "not the id of a job" in command_refusal(command(topic, job_id=path), "server")


def test_a_job_of_the_site_tells_its_state_and_nothing_else() -> None:
    origin = f"hospital-a.{JOB}"
    assert command_refusal(command(TrainingTopic.NOTIFY_JOB_STATUS, job_id=JOB), origin) == ""
    for topic in (*RIGHTS, *OF_THE_SCHEDULER):
        assert "not a job's to give" in command_refusal(command(topic, job_id=JOB), origin)
    assert command_refusal(command(TrainingTopic.NOTIFY_JOB_STATUS, job_id=JOB), "server")


def test_what_holds_no_command_is_refused() -> None:
    for payload in (None, {}, "sys.shell", command(7)):  # type: ignore[arg-type]
        assert command_refusal(payload, "server") == "it holds no command"


def test_every_topic_of_this_nvflare_was_thought_of() -> None:
    """A new version's topics are refused until somebody says whose right they are."""
    topics = {topic for item in ClientRequestProcessors.request_processors for topic in item.get_topics()}
    assert topics - set(RIGHTS) - OF_THE_SCHEDULER == {
        "sys.shell",
        "sys.report_env",
        "train.abort_task",
        "train.notify_job_status",
    }


def test_ids_of_jobs() -> None:
    assert is_job_id(JOB)
    assert not is_job_id(None)
