"""Files that come with flareseg beside its modules: jobs, the POC project, what a project admin starts from.

In a checkout they are the folders at its top; a wheel holds copies of them, made by ``setup.py``.
"""

from __future__ import annotations

from pathlib import Path

from flareseg.version import SHARE

_PACKAGE = Path(__file__).parent


def shipped(name: str) -> Path:
    """The place of a shipped file or folder.

    Args:
        name: such as ``jobs`` or ``poc/project.yml``.
    """
    copies = _PACKAGE / SHARE
    return (copies if copies.is_dir() else _PACKAGE.parents[1]) / name
