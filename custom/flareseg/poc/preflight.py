"""What can be known before a federation starts, and is therefore said before it starts."""

from __future__ import annotations

import shutil
from importlib.util import find_spec
from pathlib import Path

from flareseg.config.site import SITE_FILE, check_site_fits, load_site
from flareseg.errors import SettingsError
from flareseg.job.folder import load_job
from flareseg.processes import scripts_take

_FREE_BYTES = 1 << 30
_EXTRAS = {"encrypted": ("tenseal", "encryption"), "dp": ("opacus", "dp")}
"""Privacy scope to the module that its jobs import, and the extra of flareseg that brings it."""


def check_place(folder: Path) -> None:
    """Check that NVFlare can work in a folder.

    Raises:
        SettingsError: it cannot; nothing was written.
    """
    if not scripts_take(folder):
        raise SettingsError(
            f"{folder}: NVFlare's scripts break at blanks and quotes in a path.",
            "Choose a workspace without them with --workspace.",
        )
    there = next(parent for parent in (folder, *folder.parents) if parent.is_dir())
    free = shutil.disk_usage(there).free
    if free < _FREE_BYTES:
        raise SettingsError(
            f"{folder}: {free / 1e9:.1f} GB are free on this disk; kits, logs and models need at least 1 GB.",
            "Make room, or choose another disk with --workspace.",
        )


def check_job_fits(job: Path, files: dict[str, Path]) -> None:
    """Check that a job can run at the sites it is meant for.

    Args:
        job: the job's folder.
        files: each site's ``site.yaml``.

    Raises:
        SettingsError: a site lacks the job's labels or modality, a package is missing, or there are too few sites.
    """
    meta, task = load_job(job)
    module, extra = _EXTRAS.get(str(meta.get("scope")), ("", ""))
    if module and find_spec(module) is None:
        raise SettingsError(
            f"{meta['name']}: jobs of scope {meta['scope']} need {module}, which is not installed.",
            f"pip install 'flareseg[{extra}]'.",
        )
    if meta["min_clients"] > len(files):
        raise SettingsError(
            f"{job / 'meta.json'}: min_clients is {meta['min_clients']}, there are {len(files)} sites.",
            "Lower min_clients or add sites.",
        )
    for path in files.values():
        check_site_fits(load_site(path), task, path)


def site_files(folder: Path, names: list[str], below: str = "") -> dict[str, Path]:
    """Each site's ``site.yaml`` in a folder of sites, or of kits where it lies ``below`` each."""
    return {name: folder / name / below / SITE_FILE for name in names}
