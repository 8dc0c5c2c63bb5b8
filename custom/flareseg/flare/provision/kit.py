"""Files of a kit that are its owner's: a README, a systemd unit and the sample of site.yaml."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import jinja2

import flareseg
from flareseg.config.settings import read_yaml
from flareseg.config.site import SITE_FILE, load_site
from flareseg.config.yaml_core import dump_yaml
from flareseg.errors import SettingsError

_FILES = Path(__file__).parent / "kit_files"
SAMPLE = _FILES / "site.yaml.sample"
UNIT = _FILES / "flareseg@.service"
_REPLACED = ("readme.txt", "local/privacy.json.sample")


def write_readme(kit: Path, **facts: Any) -> None:
    """Write README.md in place of NVFlare's own texts.

    Args:
        kit: the kit's folder.
        facts: name, kind (server, site or admin) and project; a server's ports; an admin's role.
    """
    for name in _REPLACED:
        (kit / name).unlink(missing_ok=True)
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_FILES), undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    text = environment.get_template("README.md.j2").render(version=flareseg.__version__, **facts)
    (kit / "README.md").write_text(text.rstrip() + "\n")


def write_unit(kit: Path) -> None:
    """Add the systemd unit that starts the kit at boot."""
    shutil.copyfile(UNIT, kit / UNIT.name)


def write_sample(local: Path) -> None:
    """Add the site.yaml that the operator fills in."""
    shutil.copyfile(SAMPLE, local / SAMPLE.name)


def write_site_file(source: Path, local: Path) -> None:
    """Copy a site's own site.yaml; its relative paths mean nothing in the kit and become absolute.

    Raises:
        SettingsError: the file is missing or wrong.
    """
    if not source.is_file():
        raise SettingsError(f"{source}: no such file.", f"Describe the data of {source.parent.name} there.")
    content = read_yaml(source)
    site = load_site(source)
    content["data"]["root"] = str(site.data.root)
    if site.data.label_root is not None:
        content["data"]["label_root"] = str(site.data.label_root)
    if site.cache is not None:
        content["cache"] = str(site.cache)
    (local / SITE_FILE).write_text(dump_yaml(content))
