"""A job folder: checked before it is submitted, and staged with changed settings."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from flareseg.config.settings import changed_settings, load_settings, read_json, read_yaml, set_keys
from flareseg.config.task import Task
from flareseg.config.yaml_core import dump_yaml
from flareseg.errors import SettingsError, shown
from flareseg.job.manifest import META, read_meta
from flareseg.job.renamed import renamed

CONFIG = Path("app/config")
TASK_FILE = CONFIG / "task.yaml"
_SURVIVING_KEY = re.compile(r"[A-Za-z0-9_-]+")


def load_job(folder: Path) -> tuple[dict[str, Any], Task]:
    """Check a job folder.

    Returns:
        The content of its meta.json, and its task.

    Raises:
        SettingsError: a file is missing or wrong; the error names it.
    """
    if not folder.is_dir():
        raise SettingsError(f"{folder}: no such job folder.", "flareseg job list shows those that come with flareseg.")
    _check_survives_submission(folder / META, read_json(folder / META))
    meta = read_meta(folder)
    for app in meta["deploy_map"]:
        for name in ("config_fed_server.json", "config_fed_client.json"):
            path = folder / app / "config" / name
            content = read_json(path)
            _check_survives_submission(path, content)
            _check_classes(path, content)
    return meta, load_settings(Task, folder / TASK_FILE)


def stage_job(folder: Path, destination: Path, changes: Sequence[str] = ()) -> Path:
    """Copy a job and change settings of its task.yaml.

    Args:
        folder: the job.
        destination: where the copy goes; replaced when it exists.
        changes: ``KEY=VALUE`` with dots between the levels of the key.

    Returns:
        The copy.

    Raises:
        SettingsError: the job, a change, or the changed task is wrong.
    """
    load_job(folder)
    content = read_yaml(folder / TASK_FILE)
    set_keys(content, changes)
    changed_settings(Task, content, changes)
    shutil.rmtree(destination, ignore_errors=True)
    shutil.copytree(folder, destination)
    if changes:
        (destination / TASK_FILE).write_text(dump_yaml(content))
    return destination


def _check_survives_submission(path: Path, content: dict[str, Any]) -> None:
    """Refuse what ``nvflare job submit`` would change without a word.

    NVFlare 2.9 rewrites each JSON of a job: it keeps only the group that holds the file's first plain value
    (nvflare/tool/job/config/configer.py, get_root_index), and reads a key as HOCON: it takes dots for levels, and ends
    in a trace at other signs.
    """
    first = next(iter(content.values()), "")
    if first and (isinstance(first, dict) or (isinstance(first, list) and isinstance(first[0], dict | list))):
        raise SettingsError(
            f"{path}: begins with the group {shown(next(iter(content)))}: nvflare job submit would drop all the rest.",
            "Put a plain value, such as name or format_version, first.",
        )
    for key in _keys(content):
        if not _SURVIVING_KEY.fullmatch(key):
            raise SettingsError(
                f"{path}: the key {shown(key)} does not survive nvflare job submit.",
                "Use letters, digits, underscores and hyphens, no dot.",
            )


def _check_classes(path: Path, node: Any) -> None:
    """Refuse a class that moved, naming its present place."""
    if isinstance(node, dict) and (moved := renamed(node.get("path"))):
        raise SettingsError(
            f"{path}: {moved}.", "Write the present name; server and sites run the same version of flareseg."
        )
    for child in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        _check_classes(path, child)


def _keys(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        yield from node
    for child in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        yield from _keys(child)
