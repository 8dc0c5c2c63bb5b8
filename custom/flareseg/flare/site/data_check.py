"""The quick part of the data check at job start: a site with bad data says so before it is given work."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from nvflare.apis.fl_context import FLContext

from flareseg.config.site import load_site
from flareseg.data.check.run import quick_check
from flareseg.data.faults.findings import errors, stopping
from flareseg.errors import FlaresegError
from flareseg.flare.names import job_task


def data_fault(site_file: Path, fl_ctx: FLContext, log: Callable[[str], None]) -> FlaresegError | None:
    """Check a site's settings, files, headers and splits against the job's task; no voxel is read.

    Args:
        site_file: the site.yaml.
        fl_ctx: gives the job's task.
        log: writes a line to the site's own log, which may name files and cases.

    Returns:
        The first error, to be reported to whoever asks this site for work; None if there is none.
    """
    try:
        site = load_site(site_file)
        findings = quick_check(site, job_task(fl_ctx), site_file)
    except FlaresegError as error:
        return error
    wrong = errors(findings)
    for finding in wrong:
        log(f"data check, {finding.kind.id}: {finding.message} {finding.remedy}")
    if len(findings) > len(wrong):
        log(f"data check: {len(findings) - len(wrong)} warnings; flareseg data check {site_file} tells them.")
    stop = stopping(wrong, leave_out=site.data.on_bad_case == "leave_out")
    return stop[0].error() if stop else None
