"""Jobs that a site's reviewer approved: the SHA-256 of every file, kept in the site's ``local/approved_jobs``."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from tempfile import TemporaryDirectory

from pydantic import BaseModel, ConfigDict, ValidationError

import flareseg
from flareseg.config.settings import read_json
from flareseg.errors import SettingsError
from flareseg.files import json_bytes, write_whole
from flareseg.job.manifest import MANIFEST, META, REVIEW, job_manifest, manifest_digest, read_meta
from flareseg.job.review import review

APPROVED_JOBS = "approved_jobs"


class Approval(BaseModel):
    """One approved job: its files as :func:`flareseg.job.manifest.job_manifest` lists them."""

    model_config = ConfigDict(extra="forbid")

    name: str
    digest: str
    approved: datetime
    files: dict[str, str]


@dataclass(frozen=True)
class Reviewed:
    """A bundle as a reviewer saw it.

    Attributes:
        name: the job's name.
        files: what :func:`flareseg.job.manifest.job_manifest` lists.
        text: the review, made here from these files.
    """

    name: str
    files: dict[str, str]
    text: str


def look_at(bundle: Path) -> Reviewed:
    """Check a bundle and describe what it does, from its files alone: a bundle's own REVIEW.md may lie.

    Args:
        bundle: a folder made by ``flareseg job bundle``.

    Raises:
        SettingsError: the bundle was changed since it was made, its REVIEW.md says something else, or a file of it
            cannot be used.
    """
    stated = read_json(bundle / MANIFEST)
    listed = stated.get("files")
    with TemporaryDirectory(prefix="flareseg-review-") as folder:  # what is read, hashed and shown is one and the same
        copy = Path(folder) / bundle.resolve().name
        shutil.copytree(bundle, copy, symlinks=True)
        found = job_manifest(copy)
        if not isinstance(listed, dict) or found != listed:
            changes = differing(listed if isinstance(listed, dict) else {}, found)
            raise SettingsError(
                f"{bundle}: is not what its {MANIFEST} says: {changes}.",
                "Ask the lead for the bundle again, and review it before you approve it.",
            )
        text = review(copy)
        beside = copy / REVIEW
        if beside.exists() and beside.read_bytes() != text.encode():
            raise SettingsError(
                f"{bundle / REVIEW}: is not what flareseg {flareseg.__version__} says of this job.",
                "Ask the lead for the bundle again; or delete that file and read what this command shows instead.",
            )
        return Reviewed(read_meta(copy)["name"], found, text)


def approve(reviewed: Reviewed, kit: Path) -> Path:
    """Write the approval of a bundle into a site's kit; from the first on the site runs approved jobs alone.

    Args:
        reviewed: the bundle as it was shown to the reviewer.
        kit: the site's startup kit.

    Returns:
        The approval file.

    Raises:
        SettingsError: the kit is not a site's.
    """
    check_site_kit(kit)
    digest = manifest_digest(reviewed.files)
    path = kit / "local" / APPROVED_JOBS / f"{digest}.json"
    approval = Approval(name=reviewed.name, digest=digest, approved=datetime.now(timezone.utc), files=reviewed.files)
    write_whole(path, json_bytes(approval.model_dump(mode="json")))
    return path


def check_site_kit(kit: Path) -> None:
    """Raise unless a folder is a site's startup kit.

    Raises:
        SettingsError: it is another folder.
    """
    if not (kit / "startup" / "fed_client.json").is_file():
        raise SettingsError(f"{kit}: is not a site's startup kit.", "Give the folder that holds startup and local.")


def refusal(folder: Path, name: str, received: Mapping[str, str], app: str | None = None) -> str:
    """Why a received job is not one of the approved; empty where it is.

    Args:
        folder: the site's ``approved_jobs``.
        name: the job's name, to find the approval that was meant.
        received: the manifest of what the site received, see :func:`flareseg.job.manifest.received_manifest`.
        app: the one app of the job that it received; None for a whole job.
    """
    approvals = [approval for path in sorted(folder.glob("*.json")) if (approval := _load(path))]
    reasons = []
    for approval in approvals:
        mine = {
            path: sha
            for path, sha in approval.files.items()
            if app is None or path == META or path.startswith(f"{app}/")
        }
        if mine == received:
            return ""
        if approval.name == name:
            reasons.append(differing(mine, received))
    return f"not what was approved: {min(reasons, key=len)}" if reasons else "no job of this name was approved"


def differing(approved: Mapping[str, str], found: Mapping[str, str]) -> str:
    """Describe which files were changed, added or removed."""
    changed = sorted(path for path in approved.keys() & found.keys() if approved[path] != found[path])
    words = [f"{path} was changed" for path in changed]
    words += [f"{path} was added" for path in sorted(found.keys() - approved.keys())]
    words += [f"{path} is missing" for path in sorted(approved.keys() - found.keys())]
    return ", ".join(words)


def _load(path: Path) -> Approval | None:
    """An approval; None for a file that is none, which approves nothing."""
    try:
        approval = Approval.model_validate_json(path.read_bytes())
    except (OSError, ValidationError):
        return None
    return approval if manifest_digest(approval.files) == approval.digest else None
