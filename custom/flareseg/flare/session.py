"""The lead's session: submit, watch and download through NVFlare's FLARE API."""

from __future__ import annotations

import io
import json
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Any

from nvflare.apis.job_def import JobMetaKey, RunStatus
from nvflare.fuel.flare_api.api_spec import (
    AuthenticationError,
    AuthorizationError,
    JobNotFound,
    NoConnection,
    NoReply,
    SessionClosed,
    TargetType,
)
from nvflare.fuel.flare_api.flare_api import Session, new_secure_session

from flareseg.errors import ErrorCode, FlaresegError, SettingsError
from flareseg.job.manifest import META, RESUMES, job_uuid

_FINISHED = "FINISHED"
_JOBS = "job"
"""Where a downloaded result has the folder that was submitted."""
_PATIENCE_SECONDS = 2.0


@contextmanager
def lead_session(user: str, kit: Path) -> Iterator[Session]:
    """Log in with an admin's startup kit.

    Raises:
        FlaresegError: the server does not answer or refuses the kit.
    """
    try:
        with redirect_stdout(io.StringIO()):  # NVFlare prints while it connects
            session = new_secure_session(user, str(kit))
    except Exception as error:  # NVFlare raises many kinds, its own base class for some
        raise FlaresegError(
            f"{kit}: cannot log in as {user} ({type(error).__name__}: {error}).",
            "Check that the server runs and that the kit belongs to this federation.",
            code=ErrorCode.INTERNAL,
        ) from None
    try:
        yield session
    finally:
        session.close()


def kit_user(kit: Path) -> str:
    """Name of the admin that a startup kit belongs to.

    Raises:
        SettingsError: it is no admin's kit.
    """
    file = kit / "startup" / "fed_admin.json"
    try:
        return str(json.loads(file.read_text(encoding="utf-8"))["admin"]["username"])
    except (OSError, ValueError, KeyError, TypeError):
        raise SettingsError(f"{file}: no admin's startup kit.", "Give the folder that holds your startup/.") from None


@contextmanager
def _explained(job_id: str) -> Iterator[None]:
    """NVFlare's errors about a job as ours."""
    try:
        yield
    except JobNotFound:
        raise SettingsError(
            f"The server knows no job {job_id}.", "Copy the job's id from where it was shown."
        ) from None
    except AuthorizationError:
        raise SettingsError(f"This kit's user may not do that with job {job_id}.", "Ask who submitted it.") from None
    except (AuthenticationError, NoConnection, NoReply, SessionClosed) as error:
        raise FlaresegError(
            f"The server does not answer any more ({type(error).__name__}: {error}).",
            f"Job {job_id} may go on: look again once the server can be reached.",
            code=ErrorCode.INTERNAL,
        ) from None


def wait_for_job(
    session: Session, job_id: str, show: Callable[[str, dict[str, Any] | None], None], interval: float = 1.0
) -> str:
    """Wait until a job has ended, showing how it goes.

    Args:
        session: the lead's session.
        job_id: id of the job.
        show: called with NVFlare's job status and our progress (None before the job runs).
        interval: seconds between two looks.

    Returns:
        NVFlare's status, such as ``FINISHED:COMPLETED``.

    Raises:
        FlaresegError: there is no such job, the user may not look at it, or the server does not answer.
    """
    heard, asked = False, 0.0
    while True:
        with _explained(job_id):
            status = str(session.get_job_status(job_id))
        progress = None
        # A job's server process that is still starting answers with an error that fills its log: ask it rarely.
        if status == "RUNNING" and (heard or time.monotonic() - asked > _PATIENCE_SECONDS):
            asked = time.monotonic()
            progress = job_progress(session, job_id)
            heard = heard or progress is not None
        show(status, progress)
        if status.startswith(_FINISHED):
            return status
        time.sleep(interval)


def job_progress(session: Session, job_id: str) -> dict[str, Any] | None:
    """What the server's run recorder says of a running job; None before it answers."""
    try:
        stats = session.show_stats(job_id, TargetType.SERVER)
    except Exception:  # the job may be starting or ending: its status tells the rest
        return None
    for groups in stats.values():
        if isinstance(groups, dict) and "flareseg" in groups:
            return dict(groups["flareseg"])
    return None


def download_result(session: Session, job_id: str, status: str, destination: Path) -> Path:
    """Download the result of a job that has ended.

    Args:
        session: the session of who submitted it.
        job_id: id of the job.
        status: how NVFlare says it ended.
        destination: folder in which the result becomes a folder of the job's id, in place of an earlier one.

    Raises:
        FlaresegError: the job ended before it ran or with its server, the user may not have it, or the server does not
            answer.
    """
    shutil.rmtree(destination / job_id, ignore_errors=True)
    destination.mkdir(parents=True, exist_ok=True)
    with _explained(job_id):
        result = Path(session.download_job_result(job_id, str(destination)))
        if any(result.rglob("flareseg/*.json")):
            return result
        if status == RunStatus.ABANDONED:
            raise FlaresegError(
                f"Job {job_id} was running when the server died ({status}).",
                f"flareseg job resume {job_id} goes on from its last complete round; without one, submit it anew.",
                code=ErrorCode.INTERNAL,
            )
        details = [str(line) for line in session.get_job_meta(job_id).get("job_deploy_detail") or []]
    raise FlaresegError(
        f"Job {job_id} ended as {status} before it ran ({'; '.join(details) or 'no detail'}).",
        "See log.txt of the server's kit, and of the sites'.",
        code=ErrorCode.INTERNAL,
    )


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
