"""NVFlare's deployment of a job at a site that demands approvals."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from nvflare.apis.fl_context import FLContext
from nvflare.apis.workspace import Workspace
from nvflare.fuel.sec.audit import Auditor, AuditService
from nvflare.fuel.utils.zip_utils import zip_directory_to_bytes

from federation import REPOSITORY
from flareseg.flare.safeguards.deployer import SiteAppDeployer
from flareseg.job.approval import APPROVED_JOBS, approve, look_at
from flareseg.job.bundle import bundle_job
from kit import Authority, write_kit
from submission import as_nvflare_submits

JOB_ID = "11111111-1111-4111-8111-111111111111"


class Site:
    """A site's kit that is sent a job, as NVFlare's server sends it."""

    def __init__(self, folder: Path) -> None:
        self.kit = write_kit(folder / "hospital-a", Authority())
        self.workspace = Workspace(str(self.kit), "hospital-a", "config")

    def receive(self, job: Path) -> str:
        meta = json.loads((job / "meta.json").read_text())
        meta |= {"job_id": JOB_ID, "submitter_name": "lead@x", "study": "default", "byoc": False}
        data = zip_directory_to_bytes(str(job / "app"), "")
        return SiteAppDeployer().deploy(self.workspace, JOB_ID, meta, "app", data, FLContext())

    @property
    def deployed(self) -> bool:
        return (self.kit / JOB_ID).exists()


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    bundle_job(REPOSITORY / "jobs" / "fedgin-fedgs", tmp_path / "bundle")
    return tmp_path / "bundle"


def test_a_site_without_approvals_takes_every_job(site: Site, bundle: Path) -> None:
    assert not site.receive(bundle)
    assert site.deployed


def test_an_approved_job_is_deployed_as_nvflare_submits_it(site: Site, bundle: Path, tmp_path: Path) -> None:
    approve(look_at(bundle), site.kit)
    assert not site.receive(as_nvflare_submits(bundle, tmp_path / "submitted"))
    assert site.deployed


def test_a_changed_job_leaves_nothing_but_a_line_in_the_audit_log(
    site: Site, bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    auditor = Auditor(str(tmp_path / "audit.log"))
    monkeypatch.setattr(AuditService, "the_auditor", auditor)
    approve(look_at(bundle), site.kit)
    (bundle / "app/config/task.yaml").open("a").write("# changed\n")
    reason = "not what was approved: app/config/task.yaml was changed"
    assert site.receive(bundle) == reason
    auditor.close()
    assert not site.deployed
    text = (tmp_path / "audit.log").read_text()
    assert f"[U:lead@x][A:approved_jobs.refused]job {JOB_ID} of lead@x refused, {reason}" in text


def test_a_zip_that_is_none_is_refused(site: Site, bundle: Path) -> None:
    approve(look_at(bundle), site.kit)
    shutil.rmtree(bundle / "app")
    (bundle / "app").mkdir()
    assert "is missing" in site.receive(bundle)
    assert "it cannot be read" in SiteAppDeployer._refusal(site.kit / "local" / APPROVED_JOBS, {}, "app", b"no zip")
