"""What a role may not do is refused, stands in the server's audit log, and changes nothing."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import nvflare
import pytest
from nvflare.fuel.flare_api.flare_api import new_secure_session

from federation import REPOSITORY, tiny_changes
from flareseg.report import load_record
from refused_jobs import make, meta
from secure_federation import SecureFederation

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def running(secure: SecureFederation) -> Iterator[str]:
    """A job of the first lead that runs all the while."""
    job_id = secure.submit(tiny_changes(rounds=100_000, validate_every=1_000_000))
    yield job_id
    secure.abort(job_id)


def refused(secure: SecureFederation, user: str, right: str, at: str | None = None) -> bool:
    """Whether it stands in the audit log of a site, or of the server where none is named."""
    return f"[U:{user}][A:{right}.refused]{user}" in secure.audit_log(at)


def test_a_member_does_not_submit(secure: SecureFederation, tmp_path: Path) -> None:
    job = shutil.copytree(REPOSITORY / "jobs" / "fedavg", tmp_path / "job")  # NVFlare signs a job where it lies
    with secure.session("member") as session, pytest.raises(Exception, match="not authorized"):
        session.submit_job(str(job))
    assert refused(secure, secure.user("member"), "submit_job")


def test_an_organisation_s_admin_does_not_stop_another_s_site(secure: SecureFederation) -> None:
    user = secure.user("org_admin")
    assert user.endswith("hospital-a.example.org")
    for command, at in (
        ("shutdown client hospital-b", "hospital-b"),
        ("restart client hospital-b", "hospital-b"),
        ("remove_client hospital-b", secure.server),  # the only one that does not reach the site
    ):
        right = command.split()[0]
        assert f"user '{user}' is not authorized for '{right}'" in secure.command(command, user=user)
        assert refused(secure, user, right, at)
    with secure.session("project_admin") as session:
        assert "hospital-b" in secure.registered(session)


def test_a_lead_does_not_touch_another_s_job(secure: SecureFederation, running: str) -> None:
    first, second, *_ = secure.workspace.participants("admin", "lead")
    with secure.session(user=second) as session:
        for act in (session.abort_job, session.clone_job, session.delete_job):
            with pytest.raises(Exception, match="not authorized"):
                act(running)
        with pytest.raises(Exception, match="not authorized"):
            session.download_job_result(running, str(secure.workspace.folder))
    for right in ("abort_job", "clone_job", "delete_job", "download_job"):
        assert refused(secure, second, right)
    with secure.session(user=first) as session:
        assert session.get_job_status(running) == "RUNNING"


@pytest.mark.parametrize("role", ["project_admin", "org_admin", "lead", "member"])
@pytest.mark.parametrize("command", ["cat hospital-a log.txt", "ls hospital-a", "grep hospital-a x log.txt"])
def test_nobody_runs_a_shell_command_at_a_site(secure: SecureFederation, role: str, command: str) -> None:
    """Not even where the policy of the site would grant it."""
    reason = "sys.shell is not to be had at this site"
    assert reason in secure.command(command, role)
    assert f"[A:cell_boundary.refused]{reason}" in secure.audit_log("hospital-a")


@pytest.mark.parametrize("role", ["project_admin", "org_admin", "lead", "member"])
def test_nobody_asks_for_the_path_of_a_kit(secure: SecureFederation, role: str) -> None:
    assert "is not authorized for 'report_env'" in secure.command("report_env hospital-a", role)
    assert refused(secure, secure.user(role), "report_env")


@pytest.mark.parametrize("role", ["project_admin", "org_admin", "lead", "member"])
def test_everybody_asks_for_versions(secure: SecureFederation, role: str) -> None:
    answer = secure.command("report_version all", role)
    assert "not authorized" not in answer
    assert answer.count(nvflare.__version__) >= 1 + len(secure.site_names)


def test_the_log_of_a_job_is_its_lead_s_and_the_project_admin_s(secure: SecureFederation, running: str) -> None:
    first, second, *_ = secure.workspace.participants("admin", "lead")
    for user in (first, secure.user("project_admin")):
        assert "ServerRunner" in secure.command(f"get_job_log {running}", user=user)
    for user in (second, secure.user("member")):
        assert "not authorized" in secure.command(f"get_job_log {running}", user=user)
        assert refused(secure, user, "get_job_log")


def test_studies_are_the_project_admin_s(secure: SecureFederation) -> None:
    assert "not authorized" not in secure.command("list_studies", "project_admin").lower()
    assert "NOT_AUTHORIZED" in secure.command("show_study default", "lead")


def test_a_session_for_another_study_is_refused(secure: SecureFederation) -> None:
    user = secure.user("lead")
    with pytest.raises(Exception, match="study 'other' is not configured"):
        new_secure_session(user, str(secure.kit(user)), study="other")
    assert f"rejecting login for user '{user}': no study registry for study 'other'" in secure.server_log()


def test_a_job_that_names_another_study_runs_in_its_submitter_s(secure: SecureFederation, tmp_path: Path) -> None:
    """NVFlare does not refuse it: what stands in meta.json is overwritten with the study of the login."""
    job = make(tmp_path, meta(study="other"), tmp_path / "planted")
    assert json.loads((job / "meta.json").read_text())["study"] == "other"
    with secure.session() as session:
        job_id = session.submit_job(str(job))
        assert session.get_job_meta(job_id)["study"] == "default"
    assert load_record(secure.result(job_id)).status == "complete"


def test_the_federation_works_on(secure: SecureFederation, running: str) -> None:
    """The job that everybody wanted to end still runs, and another runs to its end beside it."""
    record, _ = secure.run(tiny_changes())
    assert record.status == "complete"
    with secure.session() as session:
        assert session.get_job_status(running) == "RUNNING"
