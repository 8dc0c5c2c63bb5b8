"""Jobs that ask for what no site allows: each ends in a refusal with a clear line, and the federation works on."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from federation import tiny_changes
from flareseg.job.approval import APPROVED_JOBS, approve, look_at
from refused_jobs import AT_SITES, AT_THE_SERVER, CONVERTER, NOT_DEPLOYED, make, meta
from secure_federation import SecureFederation, eventually

pytestmark = pytest.mark.slow

SITE = "hospital-a"


@pytest.fixture
def planted(tmp_path: Path) -> Iterator[Path]:
    """What an attack would leave behind: a file that must not be there afterwards."""
    yield tmp_path / "planted"
    assert not (tmp_path / "planted").exists()


def end(secure: SecureFederation, job_id: str) -> dict[str, Any]:
    """Wait for a job's end and give its meta."""
    with secure.session() as session:
        eventually(lambda: session.get_job_status(job_id).startswith("FINISHED"), f"ended: job {job_id}")
        facts: dict[str, Any] = session.get_job_meta(job_id)
        return facts


def kept(secure: SecureFederation, job_id: str) -> Path:
    """What the server kept of a job that has ended."""
    folder = secure.workspace.folder / "refused"
    folder.mkdir(exist_ok=True)
    with secure.session() as session:
        return Path(session.download_job_result(job_id, str(folder)))


def submit(secure: SecureFederation, job: Path) -> str:
    with secure.session() as session:
        return str(session.submit_job(str(job)))


@pytest.mark.parametrize("case", AT_SITES)
def test_a_site_does_not_build_it(secure: SecureFederation, tmp_path: Path, planted: Path, case: str) -> None:
    change, line = AT_SITES[case]
    job_id = submit(secure, make(tmp_path, change, planted))
    log = secure.kit(SITE) / job_id / "log.txt"
    try:
        eventually(lambda: log.is_file() and line in log.read_text(), f"in {log}: {line}")
    finally:
        with suppress(Exception):  # the server may have noticed by then that nobody is there
            secure.abort(job_id)
    end(secure, job_id)


@pytest.mark.parametrize("case", AT_THE_SERVER)
def test_the_server_does_not_build_it(secure: SecureFederation, tmp_path: Path, planted: Path, case: str) -> None:
    change, line = AT_THE_SERVER[case]
    job_id = submit(secure, make(tmp_path, change, planted))
    assert end(secure, job_id)["status"] != "FINISHED:COMPLETED"
    assert line in "\n".join(path.read_text() for path in kept(secure, job_id).rglob("log.txt"))


@pytest.mark.parametrize("case", NOT_DEPLOYED)
def test_it_is_not_deployed(secure: SecureFederation, tmp_path: Path, planted: Path, case: str) -> None:
    change, line = NOT_DEPLOYED[case]
    facts = end(secure, submit(secure, make(tmp_path, change, planted)))
    assert facts["status"] != "FINISHED:COMPLETED"
    assert any(line in detail for detail in facts["job_deploy_detail"])
    assert line in secure.server_log()


def test_a_component_refused_at_a_site_stands_in_its_audit_log(secure: SecureFederation) -> None:
    audit = secure.audit_log(SITE)
    assert f"[A:component_guard.refused]component {CONVERTER} refused" in audit
    assert secure.user("lead") in audit


def test_a_job_changed_after_its_approval_runs_at_the_other_sites_alone(
    secure: SecureFederation, tmp_path: Path, planted: Path
) -> None:
    """The site runs the job that its reviewer approved, and not the one with another task.yaml or meta.json."""
    job = make(tmp_path, lambda job, planted: None, planted)
    try:
        approve(look_at(job), secure.kit(SITE))
        changed = shutil.copytree(job, tmp_path / "changed")
        (changed / "app/config/task.yaml").open("a").write("# changed\n")
        facts = end(secure, submit(secure, changed))
        reason = "not what was approved: app/config/task.yaml was changed"
        assert f"{SITE}: NVFLARE_ERROR: {reason}" in facts["job_deploy_detail"]
        assert f"[A:approved_jobs.refused]job {facts['job_id']} of {secure.user('lead')} refused, {reason}" in (
            secure.audit_log(SITE)
        )
        assert not (secure.kit(SITE) / facts["job_id"] / "log.txt").exists()
        assert _accepted(kept(secure, facts["job_id"])) == ["hospital-b", "hospital-c"]

        meta(min_clients=1)(job, planted)
        facts = end(secure, submit(secure, job))
        assert f"{SITE}: NVFLARE_ERROR: not what was approved: meta.json was changed" in facts["job_deploy_detail"]
        meta(min_clients=2)(job, planted)
        facts = end(secure, submit(secure, job))
        assert _accepted(kept(secure, facts["job_id"])) == secure.site_names
    finally:
        shutil.rmtree(secure.kit(SITE) / "local" / APPROVED_JOBS, ignore_errors=True)


def test_the_federation_works_on(secure: SecureFederation) -> None:
    record, _ = secure.run(tiny_changes())
    assert record.status == "complete"


def _accepted(result: Path) -> list[str]:
    (path,) = result.rglob("flareseg/record.json")
    accepted: list[str] = json.loads(path.read_text())["rounds"][-1]["accepted"]
    return accepted
