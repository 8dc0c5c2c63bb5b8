"""What a job is made of: the SHA-256 of every file, the same for lead, reviewer, and a site that receives it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from uuid import UUID

from flareseg.errors import ErrorCode, FlaresegError, SettingsError

META = "meta.json"
MANIFEST = "manifest.json"
REVIEW = "REVIEW.md"
SIGNATURE_FILES = (".__nvfl_sig.json", ".__nvfl_submitter.crt")
"""Written by NVFlare into every folder of a job when it is submitted."""

SET_BY_SERVER = frozenset(
    {
        "approvals",
        "byoc",
        "cloned_from",
        "content_location",
        "data_storage_format",
        "duration",
        "flower_predeployed",
        "job_clients",
        "job_deploy_detail",
        "job_folder_name",
        "job_id",
        "last_schedule_time",
        "result_location",
        "schedule_count",
        "schedule_history",
        "start_time",
        "status",
        "study",
        "submit_time",
        "submit_time_iso",
        "submitter_name",
        "submitter_org",
        "submitter_role",
    }
)
"""Keys that NVFlare 2.9's server writes into a job's meta; all others but one are the submitter's and are hashed."""

RESUMES = "resumes"
"""The id of an unfinished job to go on from: the same job as that one to a reviewer, so it is not hashed."""


def job_manifest(folder: Path) -> dict[str, str]:
    """Hash a job folder as the lead or a reviewer has it.

    The entry ``meta.json`` is the hash of :func:`canonical_meta`, which is also the hash of the file's bytes in a
    folder made by ``flareseg job bundle``. Every other entry is the hash of the file's bytes. What lies at the top
    beside ``meta.json`` and outside the apps (``manifest.json``, ``REVIEW.md``) reaches the server, never a site,
    and is left out.

    Args:
        folder: a job: ``meta.json`` and one folder for each app of its deploy_map.

    Returns:
        SHA-256 in hex by path relative to ``folder`` (with ``/``), sorted by path.

    Raises:
        SettingsError: meta.json is missing or wrong, or the job holds a symbolic link.
    """
    try:
        meta = json.loads((folder / META).read_text(encoding="utf-8"))
        apps = sorted(meta["deploy_map"])
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise SettingsError(
            f"{folder / META}: cannot be used ({type(error).__name__}: {error}).", "Give the folder of a job."
        ) from None
    entries = {META: _sha256(canonical_meta(meta).encode())}
    for app in apps:
        entries |= _hash_app(folder / app, app)
    return dict(sorted(entries.items()))


def received_manifest(app: Path, app_name: str, meta: Mapping[str, Any]) -> dict[str, str]:
    """Hash what a site received of a job, with the keys of :func:`job_manifest`.

    A site receives its own app (a zip, unpacked into ``app``) and the job's meta with the server's additions. A job
    with one app for all gives exactly the lead's manifest; of a job with several apps a site sees only its own, a
    subset. Take ``meta`` from the deploy request, not from the ``meta.json`` that NVFlare writes into the run folder
    afterwards. A clone made by ``clone_job`` is the same job.

    Args:
        app: the unpacked app.
        app_name: its name in the deploy_map.
        meta: the job's meta as received.
    """
    entries = {META: _sha256(canonical_meta(meta).encode()), **_hash_app(app, app_name)}
    return dict(sorted(entries.items()))


def canonical_meta(meta: Mapping[str, Any]) -> str:
    """Write what the submitter said in a job's meta in one form: name first, then sorted, without the server's keys.

    The form is also the one that ``nvflare job submit`` writes, so that submitting changes no byte. The name comes
    first because that command drops everything else from a JSON that begins with a group.
    """
    own = {key: value for key, value in meta.items() if key not in SET_BY_SERVER | {RESUMES}}
    ordered = {key: own[key] for key in sorted(own, key=lambda key: (key != "name", key))}
    return as_submitted(ordered)


def as_submitted(content: Mapping[str, Any]) -> str:
    """JSON text that ``nvflare job submit`` leaves as it is."""
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"


def manifest_digest(manifest: Mapping[str, str]) -> str:
    """One SHA-256 for the whole manifest: of its lines ``<sha256>  <path>``, as ``sha256sum`` prints them."""
    return _sha256("".join(f"{digest}  {path}\n" for path, digest in sorted(manifest.items())).encode())


def _hash_app(app: Path, name: str) -> dict[str, str]:
    entries = {}
    for path in sorted(app.rglob("*")):
        if path.is_symlink():
            raise SettingsError(f"{path}: is a symbolic link.", "Put the file itself: NVFlare signs no links.")
        if path.is_file() and path.name not in SIGNATURE_FILES:
            entries[f"{name}/{path.relative_to(app).as_posix()}"] = _sha256(path.read_bytes())
    return entries


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def job_uuid(text: object) -> str:
    """Check that a job is named by its id, so that no name can reach another file.

    Raises:
        FlaresegError: it is no UUID in its usual form.
    """
    try:
        if isinstance(text, str) and str(UUID(text)) == text:
            return text
    except ValueError:
        pass
    raise FlaresegError(
        f"{str(text)[:60]!r} is no job id.",
        "Give the id that NVFlare printed when the job was submitted.",
        code=ErrorCode.BAD_SETTINGS,
    )
