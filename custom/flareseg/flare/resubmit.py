"""The lead's side of a resume: the job of an unfinished run, submitted once more with the id of the old one."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

from nvflare.apis.job_def import JobMetaKey, RunStatus
from nvflare.fuel.flare_api.api_spec import AuthorizationError, JobNotFound
from nvflare.fuel.flare_api.flare_api import Session

from flareseg.errors import SettingsError
from flareseg.flare.checkpoint import job_uuid
from flareseg.manifest import META, RESUMES

_JOBS = "job"
"""Where a downloaded result has the folder that was submitted."""


def resume_job(session: Session, job_id: str) -> str:
    """Submit a job that goes on from the last complete round of an unfinished one.

    Args:
        session: the session of who submitted the old job.
        job_id: the old job.

    Returns:
        Id of the new job.

    Raises:
        FlaresegError: there is no such job, it is not this user's, or it has not stopped before its end.
    """
    job_uuid(job_id)
    try:
        status = session.get_job_meta(job_id)[JobMetaKey.STATUS.value]
        if status == RunStatus.FINISHED_COMPLETED:
            raise SettingsError(f"Job {job_id} has finished: nothing is left to resume.", "Submit a new job.")
        if not status.startswith("FINISHED"):
            raise SettingsError(f"Job {job_id} is not over ({status}).", "Wait for it, or abort it first.")
        with tempfile.TemporaryDirectory() as folder:
            (job,) = (Path(session.download_job_result(job_id, folder)) / _JOBS).iterdir()
            meta = json.loads((job / META).read_text(encoding="utf-8"))
            (job / META).write_text(json.dumps({**meta, RESUMES: job_id}, indent=2), encoding="utf-8")
            return str(session.submit_job(str(job)))
    except JobNotFound:
        raise SettingsError(f"The server knows no job {job_id}.", "flareseg job resume needs the job's id.") from None
    except AuthorizationError:
        raise SettingsError(
            f"You may not resume job {job_id}.", "Only who submitted a job, and may submit, can resume it."
        ) from None
