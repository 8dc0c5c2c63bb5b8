"""What ``nvflare job submit`` makes of a job folder before it goes to the server."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import SimpleNamespace

from nvflare.tool.job.job_cli import get_app_dirs_from_job_folder, prepare_job_config


def as_nvflare_submits(job: Path, copy: Path) -> Path:
    """Run NVFlare's own rewriting of a job's JSON into a copy, as its submit_job does."""
    shutil.copytree(job, copy)
    apps = [Path(path).name for path in get_app_dirs_from_job_folder(str(job))]
    prepare_job_config(SimpleNamespace(job_folder=str(job)), apps, str(copy))
    return copy
