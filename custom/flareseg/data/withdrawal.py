"""Taking cases out of a site's data from now on: out of its lists, and out of its cache."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from glob import escape
from pathlib import Path

from flareseg.config.settings import load_settings, read_yaml
from flareseg.config.site import Site
from flareseg.config.yaml_core import dump_yaml
from flareseg.data.datalist import Case
from flareseg.data.digests import Digests
from flareseg.files import write_whole


def exclude(site_file: Path, names: Iterable[str]) -> Path | None:
    """Add cases to ``data.exclude`` of a site.yaml.

    The file is written anew, without comments; the old one is kept beside it.

    Args:
        site_file: the site.yaml.
        names: of the cases.

    Returns:
        The copy of the old file; None where all were excluded before.

    Raises:
        SettingsError: the file cannot be read.
    """
    content = read_yaml(site_file)
    load_settings(Site, site_file, content)
    before = list(content["data"].get("exclude") or ())
    new = [name for name in map(escape, names) if name not in before]
    if not new:
        return None
    kept = site_file.with_name(f"{site_file.name}.before")
    write_whole(kept, site_file.read_bytes())
    content["data"]["exclude"] = [*before, *new]
    write_whole(site_file, dump_yaml(content).encode())
    return kept


def forget(cache: Path, keys: Iterable[str], cases: Iterable[Case]) -> int:
    """Remove the prepared volumes of cases, and what is remembered of their files.

    A job that has a volume open reads it to its end; no other finds it.

    Args:
        cache: the folder of prepared volumes.
        keys: names of entries.
        cases: the cases.

    Returns:
        How many entries were removed.

    Raises:
        OSError: one cannot be removed.
    """
    removed = 0
    for key in keys:
        entry = cache / key
        if entry.is_dir() and entry.parent == cache:
            shutil.rmtree(entry)
            removed += 1
    digests = Digests(cache / "digests")
    for case in cases:
        for path in case.files:
            digests.forget(path)
    return removed
