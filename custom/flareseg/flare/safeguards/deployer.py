"""The site's deployer: a job that its reviewer did not approve is not unpacked there."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

from nvflare.apis.fl_context import FLContext
from nvflare.apis.job_def import JobMetaKey
from nvflare.apis.workspace import Workspace
from nvflare.fuel.sec.audit import AuditService
from nvflare.fuel.utils.log_utils import get_obj_logger
from nvflare.fuel.utils.zip_utils import unzip_all_from_bytes
from nvflare.private.fed.utils.app_deployer import AppDeployer

from flareseg.errors import FlaresegError
from flareseg.job.approval import APPROVED_JOBS, refusal
from flareseg.job.manifest import received_manifest


class SiteAppDeployer(AppDeployer):
    """NVFlare's deployer, with one more condition where the site has a folder ``local/approved_jobs``.

    Listed as ``app_deployer`` among the components of the site's ``local/resources.json``. What is hashed are the very
    bytes that are unpacked afterwards.
    """

    def deploy(
        self,
        workspace: Workspace,
        job_id: str,
        job_meta: dict[str, Any],
        app_name: str,
        app_data: bytes,
        fl_ctx: FLContext,
    ) -> str:
        """Deploy the app; give the reason where it is refused, which the server sees in the job's deploy detail."""
        approved = Path(workspace.get_site_config_dir()) / APPROVED_JOBS
        if approved.is_dir():
            reason = self._refusal(approved, job_meta, app_name, app_data)
            if reason:
                submitter = str(job_meta.get(JobMetaKey.SUBMITTER_NAME, ""))
                text = f"job {job_id} of {submitter} refused, {reason}"
                AuditService.add_event(user=submitter, action="approved_jobs.refused", ref=job_id, msg=text)
                get_obj_logger(self).error(text)
                return reason
        error: str = super().deploy(workspace, job_id, job_meta, app_name, app_data, fl_ctx)
        return error

    @staticmethod
    def _refusal(approved: Path, meta: dict[str, Any], app_name: str, app_data: bytes) -> str:
        with tempfile.TemporaryDirectory() as folder:
            try:
                unzip_all_from_bytes(app_data, folder)
                received = received_manifest(Path(folder), app_name, meta)
            except (FlaresegError, ValueError, BadZipFile) as error:
                return f"it cannot be read ({type(error).__name__})"
        return refusal(approved, str(meta.get(JobMetaKey.JOB_NAME, "")), received, app_name)
