"""A whole job in POC mode: prepare, start, submit, watch, download, stop."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from flareseg.data.phantom.sites import write_sites
from flareseg.errors import SettingsError
from flareseg.flare.session import lead_session, wait_for_job
from flareseg.job import load_job, stage_job
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
    """Make the data, provision, and start server and sites."""
    sites = ensure_data(workspace, data, tell)
    tell("Provisioning: a certificate for the server, each site and each user")
    for message in workspace.prepare(project, sites):
        tell(message)
    tell(f"Starting server and sites {', '.join(workspace.participants('client'))}")
    workspace.start()


def stage(workspace: PocWorkspace, job: Path, changes: Sequence[str]) -> Path:
    """Copy the job into the workspace with its changed settings."""
    return stage_job(job, workspace.folder / "jobs" / job.resolve().name, changes)


def submit(workspace: PocWorkspace, job: Path, changes: Sequence[str]) -> str:
    """Submit a job as the lead.

    Returns:
        The job's id.

    Raises:
        SettingsError: the job is wrong, or needs more sites than there are.
    """
    staged = stage(workspace, job, changes)
    meta, _ = load_job(staged)
    sites = workspace.participants("client")
    if meta["min_clients"] > len(sites):
        raise SettingsError(
            f"{job / 'meta.json'}: min_clients is {meta['min_clients']}, there are {len(sites)} sites.",
            "Lower min_clients or add sites.",
        )
    user, kit = workspace.lead_kit
    with lead_session(user, kit) as session:
        return str(session.submit_job(str(staged)))


def watch_and_download(workspace: PocWorkspace, job_id: str, show: Show) -> tuple[str, Path]:
    """Wait for a job and download its result.

    Returns:
        NVFlare's final status and the folder of the result.
    """
    user, kit = workspace.lead_kit
    with lead_session(user, kit) as session:
        status = wait_for_job(session, job_id, show)
        destination = workspace.folder / "result"
        shutil.rmtree(destination / job_id, ignore_errors=True)
        destination.mkdir(parents=True, exist_ok=True)
        return status, Path(session.download_job_result(job_id, str(destination)))


def run_job(
    workspace: PocWorkspace,
    job: Path,
    *,
    project: Path,
    data: Path | None,
    changes: Sequence[str],
    tell: Callable[[str], None],
    show: Show,
) -> tuple[str, Path]:
    """Run one job from nothing to its result; whatever happens, nothing started here is left running.

    Returns:
        NVFlare's final status and the folder of the result.
    """
    stage(workspace, job, changes)  # a wrong job or change is told before anything starts
    try:
        start_federation(workspace, project, data, tell)
        job_id = submit(workspace, job, changes)
        tell(f"Job {job_id} submitted by {workspace.lead_kit[0]}")
        return watch_and_download(workspace, job_id, show)
    finally:
        tell("Stopping server and sites")
        workspace.stop()
