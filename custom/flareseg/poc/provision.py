"""The project of a POC federation: the given one, with this machine's ports and a client for each folder of sites."""

from __future__ import annotations

import re
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from flareseg.config.seams import allowed_extensions
from flareseg.errors import SettingsError

_BUILDER = "flareseg.flare.provision.builder.SitePolicyBuilder"
_KEYS = "nvflare.lighter.impl.he.HEBuilder"  # for jobs that encrypt, where the extra is installed
_SITE_NAME = re.compile(r"[A-Za-z0-9_-]+")


def site_names(sites: Path) -> list[str]:
    """Names of the sites: the folders that hold a ``site.yaml``.

    Raises:
        SettingsError: the folder is missing, or NVFlare takes no site of a folder's name.
    """
    names = sorted(path.parent.name for path in sites.glob("*/site.yaml"))
    if not names:
        raise SettingsError(f"{sites}: no <site>/site.yaml.", "Make one folder for each site, or omit --data.")
    refused = [name for name in names if not _SITE_NAME.fullmatch(name)]
    if refused:
        raise SettingsError(
            f"{sites}: NVFlare takes no site named {', '.join(map(repr, refused))}.",
            "Rename the folder: letters of the English alphabet, digits, hyphens and underscores.",
        )
    return names


def adapt_project(content: dict[str, Any], path: Path, names: list[str], ports: tuple[int, int], sites: Path) -> None:
    """Fill a project in.

    Args:
        content: of the project.yml, changed in place; its clients give each site's organisation.
        path: where it comes from, for errors.
        names: the sites.
        ports: for training and for admins.
        sites: folder with ``<site>/site.yaml``.

    Raises:
        SettingsError: something that the federation needs is missing, or a name is given twice.
    """
    people = content.get("participants") or []
    known = {item["name"]: item for item in people if item.get("type") == "client"}
    others = [item for item in people if item.get("type") != "client"]
    servers = [item for item in people if item.get("type") == "server"]
    if len(servers) != 1:
        raise SettingsError(f"{path}: expected one server, found {len(servers)}.", "Correct participants.")
    if not any(item.get("role") == "lead" for item in people):
        raise SettingsError(f"{path}: no admin with role lead.", "Add one to participants.")
    taken = sorted({item["name"] for item in others} & set(names))
    if taken:
        raise SettingsError(
            f"{sites}: {', '.join(taken)} is the name of another participant of {path}.", "Rename the site's folder."
        )
    servers[0].update(fed_learn_port=ports[0], admin_port=ports[1])
    content["participants"] = others + [
        known.get(name, {"name": name, "type": "client", "org": "local"}) for name in names
    ]
    builders = [item for item in content.get("builders") or [] if item.get("path") == _BUILDER]
    if not builders:
        raise SettingsError(f"{path}: no builder {_BUILDER}.", "Copy the builders of flareseg's own project.yml.")
    if find_spec("tenseal") and not any(item.get("path") == _KEYS for item in content["builders"]):
        content["builders"].insert(content["builders"].index(builders[0]), {"path": _KEYS, "args": {}})
    builders[0]["args"] = {**builders[0].get("args", {}), "sites": str(sites)}
    builders[0]["args"]["extensions"] = sorted(allowed_extensions())
