"""What a job is made of: the SHA-256 of every file, the same for lead, reviewer, and a site that receives it."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from uuid import UUID

from flareseg.config.settings import read_json
from flareseg.errors import ErrorCode, FlaresegError, SettingsError, shown

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

_APP_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*")
_LONGEST_NAME = 200


def read_meta(folder: Path) -> dict[str, Any]:
    """Read a job's meta.json and check what the rest relies on: name, min_clients and deploy_map.

    Raises:
        SettingsError: it is missing or wrong; the error names the key.
    """
    path = folder / META
    meta = read_json(path)
    for key in ("name", "min_clients", "deploy_map"):
        if key not in meta:
            raise SettingsError(f"{path}: {key} is missing.", "Copy meta.json of jobs/fedgin-fedgs.")
    name, clients, apps = meta["name"], meta["min_clients"], meta["deploy_map"]
    if not isinstance(name, str) or not name.strip() or not name.isprintable() or len(name) > _LONGEST_NAME:
        raise SettingsError(
            f"{path}: name should be one line of at most {_LONGEST_NAME} printable characters, found {shown(name)}.",
            "It names the job in lists, logs and reviews.",
        )
    if isinstance(clients, bool) or not isinstance(clients, int) or clients < 1:
        raise SettingsError(
            f"{path}: min_clients should be a whole number of at least 1, found {shown(clients)}.",
            "It says how many sites a round needs.",
        )
    if not isinstance(apps, dict) or not apps or not all(isinstance(sites, list) for sites in apps.values()):
        raise SettingsError(
            f"{path}: deploy_map should name an app and a list of its sites, found {shown(apps)}.",
            'For one app that goes everywhere: "deploy_map": {"app": ["@ALL"]}.',
        )
    for app in apps:
        if not _APP_NAME.fullmatch(app):
            raise SettingsError(
                f"{path}: deploy_map names the app {shown(app)}.", "Use letters, digits, dots, underscores and hyphens."
            )
    return meta


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
        SettingsError: meta.json is missing or wrong, or the job holds a symbolic link or a file of an odd name.
    """
    meta = read_meta(folder)
    entries = {META: _hash_meta(meta)}
    for app in sorted(meta["deploy_map"]):
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
    entries = {META: _hash_meta(meta), **_hash_app(app, app_name)}
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


def _hash_meta(meta: Mapping[str, Any]) -> str:
    try:
        return _sha256(canonical_meta(meta).encode())
    except UnicodeEncodeError:
        raise SettingsError(f"{META}: holds half of a surrogate pair.", "Write it in UTF-8.") from None


def _hash_app(app: Path, name: str) -> dict[str, str]:
    entries = {}
    for path in sorted(app.rglob("*")):
        if path.is_symlink():
            raise SettingsError(f"{path}: is a symbolic link.", "Put the file itself: NVFlare signs no links.")
        if not path.name.isprintable():  # a line end would forge a line of the manifest
            raise SettingsError(f"{path}: its name is not printable.", "Rename the file.")
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
