"""Versions that decide whether server and sites understand each other, written into each kit."""

from __future__ import annotations

import json
from importlib.metadata import version
from pathlib import Path

import flareseg

VERSIONS = "versions.json"
"""Name of the file in a kit's ``local`` folder."""


def installed_versions() -> dict[str, str]:
    """Versions of what decides whether sites understand each other; local parts such as +cpu are left out."""
    found = {name: version(name).partition("+")[0] for name in ("nvflare", "torch", "monai")}
    return {**found, "flareseg": flareseg.__version__}


def write_versions(folder: Path) -> None:
    """Write the federation's versions into a kit's ``local/``: those of the machine that provisions it.

    A server has no way to tell its versions before a site joins. The project admin provisions with what the
    federation is to run, and sends a new file when that changes.
    """
    (folder / VERSIONS).write_text(json.dumps(installed_versions(), indent=2) + "\n")
