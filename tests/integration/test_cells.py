"""A registered site that sends what it should not to the others' processes: refused, written down, and nothing happens.

One site of a real federation runs ``tests/hostile/attacker.py`` in its parent's and in its job's process. All attacks
go out at once while a job of all three runs; the job goes on with the other two, and so does everything else.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from federation import tiny_changes
from flareseg.flare.safeguards.refused_messages import ACTION
from flareseg.privacy.ledger import LEDGER_FILE, read_ledger
from flareseg.processes import end_processes, processes_of
from flareseg.record.run import RunRecord
from flareseg.report import load_record
from intruder import Intruder, edit
from secure_federation import SecureFederation, eventually

pytestmark = pytest.mark.slow

HOSTILE, VICTIM = "hospital-c", "hospital-a"
# What stands in the audit log of the server, which passes nothing on, for each attack of tests/hostile/attacker.py.
BETWEEN_SITES = "sites speak with the server alone"
REFUSED = {
    **dict.fromkeys(
        [
            "shell",
            "shell as admin",
            "report_env",
            "info",
            "status",
            "delete_run",
            "deploy",
            "abort",
            "restart",
            "shutdown",
            "do_task",
            "do_task streamed",
            "client_command",
            "end_run",
            "config_vars",
            "stop job",
            "stop site",
            "bulk",
        ],
        BETWEEN_SITES,
    ),
    "run_status": "update_run_status on server_parent_listener is not for it to ask",
    "get_clients": "get_clients on server_parent_listener is not for it to ask",
    "cells": "cells on _net_manager is not for it to ask of a parent process",
    "process_info": "process_info on _net_manager is not for it to ask of a job's process",
    "stop server's job": "stop_cell on _net_manager is not for it to ask of a job's process",
    "forged abort": "it says it is from server",
    "forged command": "it says it is from hospital-a",
    "forged end_run": "it says it is from server.",
    "forged status": "it says it is from server.",
}
SETTLED = ("unsafe", "failure", "aborted")
"""Reports of a failure: the sender's own affair."""
ENDING = ("unreadable update", "too large")
"""What a site may send to a job's process at the server, and with which NVFlare 2.9 ends it."""


class Hostile:
    """The site that was taken over, and what its processes are ordered to do."""

    def __init__(self, federation: SecureFederation, local: Path) -> None:
        self.federation = federation
        self.orders = local / "orders"
        for process in ("parent", "job"):
            (self.orders / process).mkdir(parents=True)

    def attack(self, process: str, names: list[str], job_id: str, victim: str = VICTIM) -> dict[str, str]:
        """Have a process attack, everything at once, and give what came back for each attack."""
        answers = {}
        for name in names:
            file = self.orders / process / f"{len(list(self.orders.rglob('*')))}.json"
            order = {"attack": name, "site": victim, "job": job_id}
            part = file.with_suffix(".new")
            part.write_text(json.dumps(order))
            part.rename(file)
            answers[name] = file.with_suffix(".answer")
        eventually(lambda: all(file.is_file() for file in answers.values()), "answered", patience=60)
        return {name: file.read_text() for name, file in answers.items()}


class Siege:
    """What the attacks led to."""

    def __init__(self, federation: SecureFederation, hostile: Hostile) -> None:
        self.job_id = federation.submit(tiny_changes(rounds=100_000, validate_every=1_000_000))
        self.federation = federation
        eventually(lambda: len(self.record().rounds) > 2, "training")
        self.precious = federation.kit(VICTIM) / "precious"
        self.precious.mkdir()
        self.answers = {process: hostile.attack(process, list(REFUSED), self.job_id) for process in ("parent", "job")}
        self.rounds_before = len(self.record().rounds)
        self.answers["job"] |= hostile.attack("job", list(ENDING), self.job_id)
        self.answers["parent"] |= hostile.attack("parent", list(SETTLED), self.job_id)
        eventually(lambda: len(self.record().rounds) > self.rounds_before + 3, "training on")

    def record(self) -> RunRecord:
        """The record as it is now."""
        path = self.federation.kit(self.federation.server) / self.job_id / "flareseg" / "record.json"
        try:
            return RunRecord.model_validate_json(path.read_text())
        except (OSError, ValueError):  # not yet there
            return RunRecord.model_construct(rounds=[])


@pytest.fixture(scope="module")
def siege(secure: SecureFederation) -> Iterator[Siege]:
    """All attacks, from the parent's and from the job's process of the hostile site."""
    with secure.own_component(HOSTILE, "attacker.Attacker") as local:
        secure.stop(HOSTILE)
        secure.start(HOSTILE)
        siege = Siege(secure, Hostile(secure, local))
        try:
            yield siege
        finally:
            secure.abort(siege.job_id)
            secure.stop(HOSTILE)
    siege.precious.rmdir()
    secure.start(HOSTILE)


@pytest.mark.parametrize("process", ["parent", "job"])
@pytest.mark.parametrize("attack", REFUSED)
def test_nothing_comes_back(siege: Siege, process: str, attack: str) -> None:
    answer = siege.answers[process][attack]
    assert answer.startswith(("timeout: None", "unauthenticated: None", "comm_error: None", "sent")), answer


@pytest.mark.parametrize("attack", REFUSED)
def test_the_server_s_audit_log_names_the_sender(siege: Siege, attack: str) -> None:
    lines = [line for line in siege.federation.audit_log().splitlines() if f"[A:{ACTION}]" in line]
    assert any(f"[U:{HOSTILE}]" in line and REFUSED[attack] in line for line in lines), "\n".join(lines)


def test_the_record_names_the_sender(siege: Siege) -> None:
    refused = siege.record().refused_messages
    assert set(refused) == {HOSTILE}
    reasons = "\n".join(refused[HOSTILE])
    assert all(reason in reasons for reason in REFUSED.values()), reasons


def test_the_victim_is_as_before(siege: Siege) -> None:
    assert siege.precious.is_dir()
    record = siege.record()
    assert all({VICTIM, "hospital-b"} <= set(item.accepted) for item in record.rounds[:-1])
    commands = [" ".join(process.cmdline()) for process in processes_of(siege.federation.kit(VICTIM))]
    assert any(siege.job_id in command for command in commands)


def test_a_reported_failure_is_the_sender_s_own(siege: Siege) -> None:
    with siege.federation.session() as session:
        assert session.get_job_status(siege.job_id) == "RUNNING"
    assert f"job {siege.job_id} failed at site {HOSTILE}" in siege.federation.server_log()


def test_what_left_the_victim_went_to_the_server(siege: Siege) -> None:
    entries = [entry for entry in read_ledger(siege.federation.kit(VICTIM) / LEDGER_FILE) if entry.job == siege.job_id]
    assert {entry.recipient for entry in entries} == {"server"}
    assert {entry.task for entry in entries if entry.kind == "WEIGHT_DIFF"} == {"train"}


def test_log_lines_are_limited(secure: SecureFederation, siege: Siege) -> None:
    """What is repeated within a minute is one line, however often it is sent."""
    lines = [line for line in secure.audit_log().splitlines() if f"[A:{ACTION}]" in line and "admin on admin" in line]
    assert 1 <= len(lines) <= 2


def test_a_kit_without_the_boundary_does_not_start(secure: SecureFederation) -> None:
    intruder = Intruder(secure, "open").unsigned()
    configuration = intruder.startup / "fed_client.json"
    content = json.loads(configuration.read_text())
    (boundary,) = content.pop("components")
    assert boundary["path"].endswith(".CellBoundary")
    configuration.write_text(json.dumps(content))
    try:
        intruder.start()
        eventually(lambda: "This kit does not guard its cells" in intruder.output, "refused: a kit without it")
    finally:
        end_processes(intruder.kit, patience=0)
    assert "Successfully registered" not in intruder.output
    assert "created backbone" not in intruder.output  # no cell was made


def test_the_signature_notices_a_boundary_that_was_widened(secure: SecureFederation) -> None:
    """One that was taken out is noticed earlier, by what asks for it (the test before)."""
    intruder = Intruder(secure, "widened")
    edit(intruder.startup / "fed_client.json", '"parents": {}', '"parents": {"hospital-a": "hospital-c"}')
    try:
        intruder.start()
        eventually(lambda: "files are not secure content" in intruder.output, "refused: a changed file")
    finally:
        end_processes(intruder.kit, patience=0)
    assert "fed_client.json" in intruder.output


def test_a_job_of_all_is_complete_afterwards(secure: SecureFederation, siege: Siege) -> None:
    record, folder = secure.run(tiny_changes())
    assert load_record(folder) == record
    assert record.status in ("complete", "subset")
