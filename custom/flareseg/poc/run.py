"""A whole job in POC mode: prepare, start, submit, watch, download, stop."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flareseg.data.phantom.sites import write_sites
from flareseg.errors import SettingsError
from flareseg.flare.session import download_result, lead_session, resume_job, wait_for_job
from flareseg.job.folder import load_job, stage_job
from flareseg.poc.workspace import PocWorkspace

Show = Callable[[str, dict[str, Any] | None], None]


def ensure_data(workspace: PocWorkspace, data: Path | None, tell: Callable[[str], None]) -> Path:
    """Give the folder of sites: the user's own, or the embedded data, made when missing."""
    if data is not None:
        return data
    folder = workspace.folder / "data"
    tell(f"Embedded data in {folder}")
    write_sites(folder)
    return folder


def start_federation(workspace: PocWorkspace, project: Path, data: Path | None, tell: Callable[[str], None]) -> None:
    """Make the data, provision, and start server and sites; nothing is left running where that fails.

    Raises:
        PocError: a federation runs in this workspace already; it goes on.
    """
    workspace.claim()
    sites = ensure_data(workspace, data, tell)
    tell("Provisioning: a certificate for the server, each site and each user")
    for message in workspace.prepare(project, sites):
        tell(message)
    tell(f"Starting server and sites {', '.join(workspace.participants('client'))}")
    workspace.start()


@contextmanager
def federation(
    workspace: PocWorkspace, project: Path, data: Path | None, tell: Callable[[str], None]
) -> Iterator[PocWorkspace]:
    """A federation that runs inside the ``with`` block: whatever happens there, it is stopped at the end."""
    start_federation(workspace, project, data, tell)
    try:
        yield workspace
    finally:
        tell("Stopping server and sites")
        workspace.stop()


def stage(workspace: PocWorkspace, job: Path, changes: Sequence[str], variant: str = "") -> Path:
    """Copy the job into the workspace with its changed settings.

    Args:
        workspace: where the copy goes.
        job: the job.
        changes: ``KEY=VALUE`` for task.yaml.
        variant: keeps this copy beside those of the same job with other changes.
    """
    workspace.claim()
    return stage_job(job, workspace.folder / "jobs" / variant / job.resolve().name, changes)


def submit(workspace: PocWorkspace, staged: Path) -> str:
    """Submit a staged job as the lead.

    Returns:
        The job's id.

    Raises:
        SettingsError: the job is wrong, or needs more sites than there are.
    """
    meta, _ = load_job(staged)
    sites = workspace.participants("client")
    if meta["min_clients"] > len(sites):
        raise SettingsError(
            f"{staged / 'meta.json'}: min_clients is {meta['min_clients']}, there are {len(sites)} sites.",
            "Lower min_clients or add sites.",
        )
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
        result = download_result(session, job_id, status, workspace.folder / "result")
        return Outcome(status, result)


def run_job(
    workspace: PocWorkspace,
    job: Path,
    *,
    project: Path,
    data: Path | None,
    changes: Sequence[str],
    tell: Callable[[str], None],
    show: Show,
) -> Outcome:
    """Run one job from nothing to its result; whatever happens, nothing started here is left running."""
    staged = stage(workspace, job, changes)  # a wrong job or change is told before anything starts
    with federation(workspace, project, data, tell):
        job_id = submit(workspace, staged)
        tell(f"Job {job_id} submitted by {workspace.lead_kit[0]}")
        return watch_and_download(workspace, job_id, show)
