"""``extensions.yaml`` in the ``local`` folder of a server or site: which parts of installed packages jobs may name."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field

from flareseg.config.seams import allow_extensions
from flareseg.config.settings import Settings, load_settings
from flareseg.config.yaml_core import dump_yaml

EXTENSIONS_FILE = "extensions.yaml"
"""Name of the file in a kit's ``local`` folder."""

_HEADER = """\
# Networks, losses and augmentations of installed packages that jobs may name here, beside those of flareseg.
# A name that is not listed is refused, and its package is not imported. See docs/extending.md.
"""


class Extensions(Settings):
    """What a server or site allows."""

    allowed: tuple[Annotated[str, Field(min_length=1)], ...] = ()
    """Names of entry points; none by default."""


def write_extensions(folder: Path, names: tuple[str, ...]) -> None:
    """Write the file into a kit's ``local`` folder."""
    (folder / EXTENSIONS_FILE).write_text(_HEADER + dump_yaml({"allowed": list(names)}), encoding="utf-8")


def apply_extensions(folder: Path) -> None:
    """Allow in this process what the file in a kit's ``local`` folder lists, and nothing if it is missing.

    Raises:
        SettingsError: the file cannot be used.
    """
    path = folder / EXTENSIONS_FILE
    allow_extensions(load_settings(Extensions, path).allowed if path.exists() else ())
