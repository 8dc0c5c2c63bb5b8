"""The jobs that come with flareseg, and new ones made after them."""

from __future__ import annotations

import re
import shutil
import tempfile
from pathlib import Path

from flareseg.errors import SettingsError
from flareseg.job.folder import load_job
from flareseg.job.manifest import META, as_submitted
from flareseg.shipped import shipped

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
"""Names that NVFlare takes for a job and its folder."""


def shipped_jobs() -> list[Path]:
    """The folders of the jobs that come with flareseg, by name."""
    return sorted(meta.parent for meta in shipped("jobs").glob(f"*/{META}"))


def find_job(job: str) -> Path:
    """The folder of a job that is given by its path, or by the name of one that comes with flareseg.

    Raises:
        SettingsError: there is neither.
    """
    if Path(job).is_dir():
        return Path(job)
    names = {path.name: path for path in shipped_jobs()}
    if job not in names:
        raise SettingsError(
            f"{job}: no such job folder, and no job of flareseg has this name.",
            f"Give a folder, or one of {', '.join(names)}.",
        )
    return names[job]


def new_job(name: str, like: Path, destination: Path) -> None:
    """Make a job of another name with the settings of an existing one.

    Args:
        name: the new job's name.
        like: the job to start from; it stays as it is.
        destination: the new folder.

    Raises:
        SettingsError: the name, the job to start from, or the destination cannot be used; nothing is written.
    """
    if not NAME.fullmatch(name):
        raise SettingsError(
            f"{name!r}: NVFlare takes no job of this name.", "Use letters, digits, dots, underscores and hyphens."
        )
    if destination.exists():
        raise SettingsError(f"{destination}: exists already.", "Choose another name or another --output.")
    meta, _ = load_job(like)
    destination.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=destination.parent, prefix=".new-") as temporary:
        made = Path(temporary) / destination.name
        for app in meta["deploy_map"]:
            shutil.copytree(like / app, made / app)
        (made / META).write_text(as_submitted({**meta, "name": name}), encoding="utf-8")
        made.rename(destination)
