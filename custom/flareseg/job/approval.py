"""Jobs that a site's reviewer approved: the SHA-256 of every file, kept in the site's ``local/approved_jobs``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime, timezone
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from flareseg.errors import SettingsError
from flareseg.job.manifest import MANIFEST, META, job_manifest, manifest_digest

APPROVED_JOBS = "approved_jobs"


class Approval(BaseModel):
    """One approved job: its files as :func:`flareseg.job.manifest.job_manifest` lists them."""

    model_config = ConfigDict(extra="forbid")

    name: str
    digest: str
    approved: datetime
    files: dict[str, str]


def approve(bundle: Path, kit: Path) -> Path:
    """Write the approval of a bundle into a site's kit; from the first on the site runs approved jobs alone.

    Args:
        bundle: a folder made by ``flareseg job bundle``.
        kit: the site's startup kit.

    Returns:
        The approval file.

    Raises:
        SettingsError: the bundle was changed since it was made, or one of the folders is not what it should be.
    """
    if not (kit / "startup" / "fed_client.json").is_file():
        raise SettingsError(f"{kit}: is not a site's startup kit.", "Give the folder that holds startup and local.")
    try:
        stated = json.loads((bundle / MANIFEST).read_text(encoding="utf-8"))
        name, listed = str(stated["name"]), dict(stated["files"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SettingsError(
            f"{bundle / MANIFEST}: cannot be used ({type(error).__name__}).", "Make it with flareseg job bundle."
        ) from None
    found = job_manifest(bundle)
    if found != listed:
        raise SettingsError(
            f"{bundle}: is not what its {MANIFEST} says: {differing(listed, found)}.",
            "Ask the lead for the bundle again, and review it before you approve it.",
        )
    digest = manifest_digest(found)
    path = kit / "local" / APPROVED_JOBS / f"{digest}.json"
    path.parent.mkdir(exist_ok=True)
    approval = Approval(name=name, digest=digest, approved=datetime.now(timezone.utc), files=found)
    path.write_text(json.dumps(approval.model_dump(mode="json"), indent=2) + "\n", encoding="utf-8")
    return path


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
    """Which files were changed, added or removed, in words."""
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
