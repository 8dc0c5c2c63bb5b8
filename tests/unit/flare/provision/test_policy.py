"""Who may do what, asked of NVFlare's own authorizer with the policy of our kits."""

from __future__ import annotations

import pytest
from nvflare.fuel.sec.authz import AuthzContext, Person
from nvflare.private.fed.server.server_cmd_modules import ServerCommandModules
from nvflare.security.security import COMMAND_CATEGORIES, FLAuthorizer

from flareseg.flare.provision.policy import authorization


def _allowed(
    role: str, right: str, *, org: str = "hospital_a", name: str = "x@y.org", revoked: tuple[str, ...] = ()
) -> bool:
    authorizer = FLAuthorizer("hospital_a", authorization(revoked))
    context = AuthzContext(right, Person(name, org, role), Person("x@y.org", "hospital_a", "lead"))
    allowed, reason = authorizer.authorize(context)
    assert allowed or "is not authorized" in reason
    return bool(allowed)


@pytest.mark.parametrize(
    ("role", "right", "org", "allowed"),
    [
        ("lead", "submit_job", "hospital_a", True),
        ("org_admin", "submit_job", "hospital_a", False),
        ("member", "submit_job", "hospital_a", False),
        ("member", "list_jobs", "hospital_b", True),
        ("member", "abort_job", "hospital_a", False),
        ("org_admin", "shutdown", "hospital_a", True),
        ("org_admin", "shutdown", "hospital_b", False),
        ("lead", "shutdown", "hospital_a", False),
        ("project_admin", "shutdown", "consortium", True),
        ("project_admin", "cat", "consortium", False),
        ("org_admin", "cat", "hospital_a", False),
        ("project_admin", "report_env", "consortium", False),
        ("org_admin", "report_env", "hospital_a", False),
        ("project_admin", "report_resources", "consortium", True),
        ("lead", "byoc", "hospital_a", False),
        ("project_admin", "report_version", "consortium", True),
        ("project_admin", "get_job_log", "consortium", True),
        ("member", "report_version", "hospital_b", True),
        ("member", "get_job_log", "hospital_b", False),
        ("member", "download_job_components", "hospital_b", False),
        ("org_admin", "get_job_log", "hospital_a", True),
        ("org_admin", "get_job_log", "hospital_b", False),
    ],
)
def test_a_lead_submits_an_admin_rules_its_own_site_a_member_looks(
    role: str, right: str, org: str, allowed: bool
) -> None:
    assert _allowed(role, right, org=org) is allowed


@pytest.mark.parametrize("right", ["get_job_log", "download_job_components", "abort_job"])
def test_a_lead_has_the_own_jobs_and_no_other_lead_s(right: str) -> None:
    assert _allowed("lead", right, name="x@y.org")
    assert not _allowed("lead", right, name="other@y.org")


def test_each_command_of_this_nvflare_is_somebody_s() -> None:
    """What has no category must be granted by name: otherwise not even the project admin has it."""
    specs = [spec for module in ServerCommandModules.cmd_modules for spec in module.get_spec().cmd_specs]
    asked = {spec.name for spec in specs if spec.authz_func and "authorize" in spec.authz_func.__name__}
    asked |= {spec.name for spec in specs if spec.authz_func and "authz_required" in spec.authz_func.__name__}
    by_role = {spec.name for spec in specs if spec.name.endswith(("_study", "_study_site", "_study_user", "_studies"))}
    refused = {right for right in asked - by_role if not _allowed("project_admin", right, org="consortium")}
    assert refused == {"report_env", "app_command", *{"pwd", "ls", "cat", "head", "tail", "grep"}}


def test_a_revoked_user_may_do_nothing_and_others_all_they_might() -> None:
    for right in (*COMMAND_CATEGORIES, "submit_job", "report_version", "get_job_log"):
        for role in ("project_admin", "org_admin", "lead", "member"):
            assert not _allowed(role, right, name="gone@y.org", revoked=("gone@y.org",))
            assert _allowed(role, right, revoked=("gone@y.org",)) == _allowed(role, right)
