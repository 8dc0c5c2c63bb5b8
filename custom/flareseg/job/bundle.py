"""What is submitted: a job in the form that survives every way of submitting, with its manifest and review."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

import flareseg
from flareseg.config.settings import read_json
from flareseg.errors import SettingsError
from flareseg.job.folder import load_job, stage_job
from flareseg.job.manifest import MANIFEST, META, REVIEW, as_submitted, canonical_meta, job_manifest, manifest_digest
from flareseg.job.review import review
from flareseg.version import SHARE

_FOLDER_NAME = re.compile(r"[A-Za-z0-9._-]+")
_REWRITTEN = ("*.json", "*.conf", "*.yml", "*.yaml", "*.default")


def bundle_job(folder: Path, destination: Path, changes: Sequence[str] = (), *, byoc: bool = False) -> str:
    """Write a job as it is submitted, with ``manifest.json`` and ``REVIEW.md`` beside its meta.json.

    Args:
        folder: the job.
        destination: the new folder; an earlier bundle there is replaced.
        changes: ``KEY=VALUE`` for task.yaml.
        byoc: put a copy of this package into the job, for sites where it is not installed.

    Returns:
        The digest of the manifest.

    Raises:
        SettingsError: the job, a change or the destination cannot be used; the destination is as it was.
    """
    _check_destination(destination)
    destination.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=destination.parent, prefix=".bundle-") as temporary:
        staged = stage_job(folder, Path(temporary) / destination.name, changes)
        meta, _ = load_job(staged)
        (staged / META).write_text(canonical_meta(meta), encoding="utf-8")
        for path in staged.glob("*/config/config_fed_*.json"):
            path.write_text(as_submitted(read_json(path)), encoding="utf-8")
        if byoc:
            for app in meta["deploy_map"]:
                _copy_package(staged / app / "custom" / "flareseg")
        manifest = job_manifest(staged)
        digest = manifest_digest(manifest)
        content = {"name": meta["name"], "flareseg": flareseg.__version__, "digest": digest, "files": manifest}
        (staged / MANIFEST).write_text(as_submitted(content), encoding="utf-8")
        (staged / REVIEW).write_text(review(staged), encoding="utf-8")
        if destination.exists():
            shutil.rmtree(destination)
        staged.rename(destination)
    return digest


def _check_destination(destination: Path) -> None:
    if not _FOLDER_NAME.fullmatch(destination.name):
        raise SettingsError(
            f"{destination}: NVFlare takes no job folder named {destination.name!r}.",
            "Use letters, digits, dots, underscores and hyphens.",
        )
    if destination.exists() and not (destination / MANIFEST).is_file() and any(destination.iterdir()):
        raise SettingsError(f"{destination}: holds something that is not a bundle.", "Choose a new folder.")


def _copy_package(target: Path) -> None:
    """Copy the package itself, no link: NVFlare refuses to sign links.

    JSON and YAML stay behind: ``nvflare job submit`` rewrites each below ``custom/``, and a job's process needs none.
    """
    source = Path(flareseg.__file__).parent
    shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__", SHARE, *_REWRITTEN))
