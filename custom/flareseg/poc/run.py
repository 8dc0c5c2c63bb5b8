"""A whole job in POC mode: prepare, start, submit, watch, download, stop."""

from __future__ import annotations

import re
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flareseg.data.phantom.sites import write_sites
from flareseg.errors import FlaresegError
from flareseg.flare.session import download_result, lead_session, resume_job, wait_for_job
from flareseg.job.folder import stage_job
from flareseg.poc.preflight import check_job_fits, site_files
from flareseg.poc.provision import site_names
from flareseg.poc.site_words import site_failures
from flareseg.poc.watch import ended_with_us
from flareseg.poc.workspace import PocWorkspace

Show = Callable[[str, dict[str, Any] | None], None]
Tell = Callable[[str], None]


@dataclass(frozen=True)
class Plan:
    """What a federation is started with.

    Attributes:
        project: the project.yml to start from.
        data: folder with ``<site>/site.yaml``; None is the embedded data, made in the workspace.
    """

    project: Path
    data: Path | None = None


def start_federation(workspace: PocWorkspace, plan: Plan, tell: Tell) -> None:
    """Provision and start a federation that stays; nothing is left running where that fails.

    Raises:
        PocError: a federation runs in this workspace already; it goes on.
    """
    with workspace.held(stays=True):
        _start(workspace, plan, (), tell)


@contextmanager
def federation(workspace: PocWorkspace, plan: Plan, jobs: Sequence[Path], tell: Tell) -> Iterator[PocWorkspace]:
    """A federation that runs inside the ``with`` block: whatever happens there, it is stopped at the end.

    Args:
        workspace: where it lives.
        plan: what it is started with.
        jobs: staged jobs that it is meant for; one that its sites cannot run is refused before anything starts.
        tell: called with what happens.
    """
    with workspace.held(), ended_with_us(workspace.poc):
        try:
            _start(workspace, plan, jobs, tell)
            yield workspace
        finally:
            try:
                tell("Stopping server and sites")
            finally:
                workspace.stop()


def _start(workspace: PocWorkspace, plan: Plan, jobs: Sequence[Path], tell: Tell) -> None:
    sites = plan.data
    if sites is None:
        sites = workspace.folder / "data"
        tell(f"Embedded data in {sites}")
        write_sites(sites)
    names = site_names(sites)
    for job in jobs:
        check_job_fits(job, site_files(sites, names))
    tell("Provisioning: a certificate for the server, each site and each user")
    workspace.prepare(plan.project, sites, names, tell)
    tell(f"Starting server and sites {', '.join(names)}")
    workspace.start()


def stage(workspace: PocWorkspace, job: Path, changes: Sequence[str]) -> Path:
    """Copy the job into a new folder of the workspace, with its changed settings."""
    workspace.claim()
    jobs = workspace.folder / "jobs"
    jobs.mkdir(exist_ok=True)
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", job.resolve().name)  # what NVFlare takes as a folder's name
    place = Path(tempfile.mkdtemp(prefix=f"{time.strftime('%Y%m%d-%H%M%S')}-", dir=jobs))
    try:
        return stage_job(job, place / name, changes)
    except BaseException:
        shutil.rmtree(place)
        raise


def submit(workspace: PocWorkspace, staged: Path) -> str:
    """Submit a staged job as the lead.

    Returns:
        The job's id.

    Raises:
        SettingsError: no federation runs, or its sites cannot run the job.
    """
    workspace.require_running()
    check_job_fits(staged, site_files(workspace.kits, workspace.participants("client"), "local"))
    user, kit = workspace.lead_kit
    with lead_session(user, kit) as session:
        return str(session.submit_job(str(staged)))


def resume(workspace: PocWorkspace, job_id: str) -> str:
    """Submit a job that goes on from an unfinished one.

    Returns:
        The new job's id.

    Raises:
        FlaresegError: the job cannot be resumed.
    """
    workspace.require_running()
    user, kit = workspace.lead_kit
    with lead_session(user, kit) as session:
        return resume_job(session, job_id)


@dataclass(frozen=True)
class Outcome:
    """How a job ended.

    Attributes:
        status: NVFlare's final status, such as ``FINISHED:COMPLETED``.
        result: folder of the downloaded result.
    """

    status: str
    result: Path


def watch_and_download(workspace: PocWorkspace, job_id: str, show: Show) -> Outcome:
    """Wait for a job and download its result.

    Raises:
        FlaresegError: the job ended before it ran; the error gives NVFlare's reason.
    """
    user, kit = workspace.lead_kit
    with lead_session(user, kit) as session:
        status = wait_for_job(session, job_id, show)
        try:
            result = download_result(session, job_id, status, workspace.folder / "result")
        except FlaresegError as error:
            said = site_failures(workspace.kits, workspace.participants("client"), job_id)
            if not said:
                raise
            words = " ".join(f"{site} says: {message}" for site, message in said.items())
            raise FlaresegError(f"Job {job_id} ended as {status}.", words, code=error.code) from None
        return Outcome(status, result)


def run_job(
    workspace: PocWorkspace, job: Path, changes: Sequence[str], plan: Plan, *, tell: Tell, show: Show
) -> Outcome:
    """Run one job from nothing to its result; whatever happens, nothing started here is left running."""
    staged = stage(workspace, job, changes)
    with federation(workspace, plan, [staged], tell):
        job_id = submit(workspace, staged)
        tell(f"Job {job_id} submitted by {workspace.lead_kit[0]}")
        return watch_and_download(workspace, job_id, show)
