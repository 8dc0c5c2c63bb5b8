"""A site's report of a failure, as NVFlare's server then reads it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from nvflare.apis.job_launcher_spec import JobReturnCode
from nvflare.fuel.common.exit_codes import ProcessExitCode
from nvflare.fuel.f3.message import Message
from nvflare.private.defs import CellMessageHeaderKeys
from nvflare.private.fed.server.server_engine import RunProcessKey

from flareseg.flare.safeguards.job_failures import JobFailures

JOB = "4091efd1-5814-4fb4-a8a0-03d5b6ab97cb"
SITES = ("hospital-a", "hospital-b", "hospital-c")
CODES = (
    ProcessExitCode.UNSAFE_COMPONENT,
    ProcessExitCode.EXCEPTION,
    ProcessExitCode.CONFIG_ERROR,
    ProcessExitCode.INFRASTRUCTURE_ERROR,
    JobReturnCode.ABORTED,
)


class Server:
    """The parts of NVFlare's server that a report reaches."""

    def __init__(self, *, min_clients: int = 2, mandatory: tuple[str, ...] = ()) -> None:
        clients = {f"token of {name}": SimpleNamespace(name=name) for name in (*SITES, "hospital-d")}
        self.client_manager = SimpleNamespace(clients=clients)
        here = {token: client for token, client in clients.items() if client.name in SITES}
        job = SimpleNamespace(min_sites=min_clients, required_sites=list(mandatory))
        runner = SimpleNamespace(running_jobs={JOB: job}, is_client_outcome_pending=self.pending)
        self.engine = SimpleNamespace(job_runner=runner, run_processes={JOB: {RunProcessKey.PARTICIPANTS: here}})
        self.codes: list[Any] = []
        self._handler = JobFailures(self).guarded(self.handle)

    @staticmethod
    def pending(job_id: str, name: str) -> bool:
        return job_id == JOB and name in SITES

    def handle(self, message: Message) -> Message:
        self.codes.append(message.payload["code"])
        return message

    def report(self, site: str, code: Any, job_id: str = JOB) -> Any:
        payload = {"job_id": job_id, "code": code, "reason": "x"}
        self._handler(Message({CellMessageHeaderKeys.TOKEN: f"token of {site}"}, payload))
        return self.codes[-1]


@pytest.mark.parametrize("code", CODES)
def test_one_site_s_failure_is_its_own_however_often_it_is_reported(code: int) -> None:
    server = Server()
    assert [server.report("hospital-c", code) for _ in range(5)] == [JobReturnCode.UNKNOWN] * 5


@pytest.mark.parametrize("code", CODES)
def test_where_too_few_sites_are_left_nvflare_ends_the_job_as_before(code: int) -> None:
    server = Server()
    assert server.report("hospital-c", code) == JobReturnCode.UNKNOWN
    assert server.report("hospital-b", code) == code


def test_a_job_that_needs_all_sites_ends_with_one_of_them() -> None:
    assert Server(min_clients=3).report("hospital-a", ProcessExitCode.EXCEPTION) == ProcessExitCode.EXCEPTION
    mandatory = Server(mandatory=("hospital-a",))
    assert mandatory.report("hospital-b", ProcessExitCode.EXCEPTION) == JobReturnCode.UNKNOWN
    assert mandatory.report("hospital-a", ProcessExitCode.EXCEPTION) == ProcessExitCode.EXCEPTION


def test_who_takes_no_part_counts_for_nothing() -> None:
    server = Server()
    server.report("hospital-d", ProcessExitCode.EXCEPTION)
    server.report("nobody", ProcessExitCode.EXCEPTION)
    server.report("hospital-a", ProcessExitCode.EXCEPTION, job_id="another")
    assert server.report("hospital-c", ProcessExitCode.EXCEPTION) == JobReturnCode.UNKNOWN


@pytest.mark.parametrize("code", [JobReturnCode.SUCCESS, JobReturnCode.UNKNOWN])
def test_a_part_that_ended_well_is_no_failure(code: int) -> None:
    server = Server()
    for site in SITES:
        assert server.report(site, code) == code


def test_what_is_no_report_is_left_to_nvflare() -> None:
    passed = []
    handler = JobFailures(Server()).guarded(lambda message: passed.append(message) or message)  # type: ignore[func-returns-value]
    for payload in (None, [], {}, {"job_id": ["x"]}):
        handler(Message({}, payload))
    assert len(passed) == 4


def test_reports_of_jobs_that_are_over_are_forgotten() -> None:
    server = Server()
    server.report("hospital-c", ProcessExitCode.EXCEPTION)
    del server.engine.run_processes[JOB]
    assert server.report("hospital-b", ProcessExitCode.EXCEPTION) == JobReturnCode.UNKNOWN
