"""A federation that lives on: sites and users come and go, certificates are renewed, the server moves.

Each test is one chapter of docs/provisioning.md and goes on where the one before stopped; nothing but what the chapter
says is replaced or restarted.
"""

from __future__ import annotations

import configparser
import json
import shlex
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography import x509

from federation import tiny_changes
from flareseg.processes import processes_of
from flareseg.report import report_facts
from secure_federation import SecureFederation, eventually
from tiny import write_tiny_site

pytestmark = pytest.mark.slow

NEW_LEAD = "lead@hospital-b.example.org"
MEMBER = "member@hospital-b.example.org"


@pytest.fixture(scope="module")
def federation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecureFederation]:
    """Two hospitals; changes of this module stay in it."""
    started = SecureFederation(tmp_path_factory.mktemp("lifecycle") / "run", sites=2)
    try:
        started.provision()
        started.start()
        yield started
    finally:
        started.close()


def _change_project(federation: SecureFederation, change: Callable[[dict[str, Any]], None]) -> Path:
    """Change project.yml, provision again, and give the folder of the new kits."""
    path = federation.workspace.poc / "project.yml"
    content = yaml.safe_load(path.read_text())
    change(content)
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    federation.workspace.provision()
    return sorted(federation.workspace.kits.parent.glob("prod_*"))[-1]


def _builder(content: dict[str, Any], name: str) -> dict[str, Any]:
    (builder,) = [item for item in content["builders"] if item["path"].endswith(name)]
    arguments: dict[str, Any] = builder["args"]
    return arguments


def _pids(federation: SecureFederation, name: str) -> set[int]:
    return {process.pid for process in processes_of(federation.kit(name))}


def _certificate(kit: Path) -> x509.Certificate:
    (path,) = (kit / "startup").glob("*.crt")
    return x509.load_pem_x509_certificate(path.read_bytes())


def _system(federation: SecureFederation, *arguments: str) -> str:
    kit = federation.kit(federation.user("project_admin"))
    return federation.workspace.call("nvflare", "system", *arguments, "--startup-kit", kit)


def _renew(federation: SecureFederation, name: str, kits: Path) -> None:
    """What the owner of a kit does with a new one: its startup/ replaces the old."""
    shutil.rmtree(federation.kit(name) / "startup")
    shutil.copytree(kits / name / "startup", federation.kit(name) / "startup")


def test_a_site_and_a_user_added_later_join_while_everything_runs(federation: SecureFederation) -> None:
    running = {name: _pids(federation, name) for name in ("localhost", "hospital-a", "hospital-b")}

    def add(content: dict[str, Any]) -> None:
        content["participants"] += [
            {"name": "hospital-x", "type": "client", "org": "hospital_x"},
            {"name": NEW_LEAD, "type": "admin", "org": "hospital_b", "role": "lead"},
        ]

    new = _change_project(federation, add)
    assert _certificate(new / "hospital-a") == _certificate(federation.kit("hospital-a"))
    for name in ("hospital-x", NEW_LEAD):
        shutil.copytree(new / name, federation.kit(name))
    site = write_tiny_site(federation.sites / "hospital-x", seed=7)
    shutil.copyfile(site, federation.kit("hospital-x") / "local" / "site.yaml")
    federation.start("hospital-x")
    record, _ = federation.run(tiny_changes(rounds=1))
    assert record.rounds[0].accepted == ["hospital-a", "hospital-b", "hospital-x"]
    assert report_facts(record).status == "complete"
    with federation.session(user=NEW_LEAD) as session:
        assert session.list_jobs()
    assert running == {name: _pids(federation, name) for name in running}, "nobody was restarted"


def test_a_renewed_site_and_a_renewed_server_work_with_those_of_before(federation: SecureFederation) -> None:
    new = _change_project(federation, lambda content: _builder(content, "RenewingCertBuilder").update(renew_days=400))
    before = _certificate(federation.kit("hospital-a")).serial_number
    untouched = _pids(federation, "hospital-b")
    federation.stop("hospital-a")
    _renew(federation, "hospital-a", new)
    assert _certificate(federation.kit("hospital-a")).serial_number != before
    federation.start("hospital-a")
    federation.stop("localhost")
    _renew(federation, "localhost", new)
    federation.start("localhost")
    federation.wait_for_sites({"hospital-a", "hospital-b", "hospital-x"})
    assert untouched == _pids(federation, "hospital-b"), "a site need not restart when the server is renewed"
    _change_project(federation, lambda content: _builder(content, "RenewingCertBuilder").update(renew_days=60))


def test_a_disabled_site_is_out_until_it_is_enabled(federation: SecureFederation) -> None:
    _system(federation, "disable-client", "hospital-x", "--force")
    with federation.session("project_admin") as session:
        eventually(lambda: federation.registered(session) == {"hospital-a", "hospital-b"}, "without the disabled site")
    federation.stop("localhost", "hospital-x")
    federation.start("localhost")
    federation.workspace.start_kit(federation.kit("hospital-x"))
    eventually(
        lambda: "Reject disabled client registration: hospital-x" in federation.server_log(), "told in the server's log"
    )
    federation.wait_for_sites({"hospital-a", "hospital-b"})
    record, _ = federation.run(tiny_changes(rounds=1))
    assert record.rounds[0].accepted == ["hospital-a", "hospital-b"]
    _system(federation, "enable-client", "hospital-x", "--force")
    federation.stop("hospital-x")
    federation.start("hospital-x")


def test_a_revoked_user_is_refused_by_the_server_and_others_are_not(federation: SecureFederation) -> None:
    with federation.session("member") as session:
        assert session.list_jobs()
    new = _change_project(federation, lambda content: _builder(content, "SitePolicyBuilder").update(revoked=[MEMBER]))
    policy = "local/authorization.json.default"
    shutil.copyfile(new / "localhost" / policy, federation.kit("localhost") / policy)
    federation.stop("localhost")
    federation.start("localhost")
    answer = federation.command("list_jobs", "member")
    assert "not authorized" in answer
    assert f"user '{MEMBER}' is not authorized" in answer
    with federation.session("lead") as session:
        assert session.list_jobs()


@pytest.mark.parametrize(("order", "code"), [("restart", 75), ("shutdown", 0)])
def test_under_systemd_a_site_restarts_when_asked_and_stays_down_when_shut_down(
    federation: SecureFederation, order: str, code: int
) -> None:
    kit = federation.kit("hospital-b")
    unit = configparser.ConfigParser(strict=True, interpolation=None)
    unit.read(kit / "flareseg@.service")
    assert unit["Service"]["restart"] == "on-failure"
    federation.stop("hospital-b")
    (kit / "log.txt").rename(kit / f"log.{order}.txt")
    command = shlex.split(unit["Service"]["execstart"].replace("$$", "$"))
    process = subprocess.Popen(command, cwd=kit, env=federation.workspace.environment, stdin=subprocess.DEVNULL)
    log = kit / "log.txt"
    eventually(lambda: log.is_file() and "Successfully registered client:hospital-b" in log.read_text(), "registered")
    _system(federation, order, "client", "hospital-b", "--force", "--no-wait")
    assert process.wait(timeout=240) == code


def test_the_server_moves_to_another_host_with_its_jobs(federation: SecureFederation) -> None:
    host = socket.gethostname()
    if host == "localhost" or not socket.gethostbyname(host).startswith("127."):
        pytest.skip(f"this machine's own name {host} does not lead to its loopback: no second name for the server")
    with federation.session("lead") as session:
        jobs = {job["job_id"] for job in session.list_jobs()}
    assert jobs
    root = (federation.kit("localhost") / "startup" / "rootCA.pem").read_bytes()
    sites = ["hospital-a", "hospital-b", "hospital-x"]
    federation.stop(*sites, "localhost")

    def move(content: dict[str, Any]) -> None:
        content["participants"][0]["name"] = host

    new = _change_project(federation, move)
    old_kit, federation.server = federation.kit("localhost"), host
    shutil.copytree(old_kit, federation.kit(host))
    for name in (host, *sites, *federation.workspace.participants("admin")):
        _renew(federation, name, new)
        assert (federation.kit(name) / "startup" / "rootCA.pem").read_bytes() == root
    shutil.rmtree(old_kit)
    target = json.loads((federation.kit("hospital-a") / "startup" / "fed_client.json").read_text())
    assert target["servers"][0]["service"]["target"].startswith(f"{host}:")
    federation.start(host, *sites)
    with federation.session("lead") as session:
        assert {job["job_id"] for job in session.list_jobs()} == jobs
