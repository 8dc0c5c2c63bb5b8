"""The places of a simulated job: the sites, each of which scores, and who trains."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from flareseg.config.site import SITE_FILE, check_site_fits, load_site
from flareseg.config.task import Task
from flareseg.data.site_data import SiteData
from flareseg.errors import SettingsError
from flareseg.learning.learner import Learner
from flareseg.networks.state import local_names
from flareseg.simulation.pooled import PooledData

POOLED = "pooled"
"""Name of the place that holds all data; part of its seeds."""


def sites_below(folder: Path, names: Sequence[str] = ()) -> dict[str, Path]:
    """``site.yaml`` of each site of a folder, which holds ``<site>/site.yaml``.

    Args:
        folder: of all sites.
        names: the sites that are wanted; all of them where not given.

    Raises:
        SettingsError: there is none, or a wanted one is missing.
    """
    found = {path.parent.name: path for path in sorted(folder.glob(f"*/{SITE_FILE}"))}
    if not found:
        raise SettingsError(f"{folder}: no <site>/site.yaml.", "Make one folder for each site, or omit --data.")
    missing = [name for name in names if name not in found]
    if missing:
        raise SettingsError(f"{folder}: no site {', '.join(missing)}.", f"There are {', '.join(found)}.")
    return {name: found[name] for name in sorted(names)} if names else found


@dataclass(frozen=True)
class Places:
    """Who takes part.

    Attributes:
        sites: name to learner: each scores the winner on its own test set.
        trainers: those that train; of pooled data one place that is none of the sites.
    """

    sites: dict[str, Learner]
    trainers: dict[str, Learner]

    def share_own_values(self) -> None:
        """Let the sites of pooled data score with what their one place has kept to itself."""
        if POOLED in self.trainers:
            for learner in self.sites.values():
                learner.local = self.trainers[POOLED].local


def open_places(
    task: Task, files: Mapping[str, Path], train: tuple[str, ...] | None, pooled: bool, cache: Path
) -> Places:
    """Prepare the data of all sites.

    Args:
        task: what is learned.
        files: ``site.yaml`` of each site.
        train: the sites that train; all where not given.
        pooled: they train as one place.
        cache: folder for prepared volumes, below it one for each site.

    Raises:
        FlaresegError: a site is not known or its data cannot be used; or a task's values stay at the sites, and there
            are sites that have none as they do not train.
    """
    names = tuple(sorted(files)) if train is None else train
    unknown = sorted(set(names) - set(files))
    if unknown or not names:
        raise SettingsError(
            f"There is no site {', '.join(unknown) or 'that trains'}.", f"Known are {', '.join(sorted(files))}."
        )
    data = {}
    for name, path in files.items():
        site = load_site(path)
        check_site_fits(site, task, path)
        data[name] = SiteData(task, site, cache / name)
    sites = {name: Learner(task, own, name) for name, own in sorted(data.items())}
    if pooled:
        place = Learner(task, PooledData({name: data[name] for name in sorted(names)}), POOLED)
        return Places(sites, {POOLED: place})
    lacking = sorted(set(files) - set(names))
    if lacking and local_names(next(iter(sites.values())).network, task):
        raise SettingsError(
            f"{', '.join(lacking)}: does not train, and the task {task.name} has values that each site trains itself.",
            "Let every site train, or share all values.",
        )
    return Places(sites, {name: sites[name] for name in sorted(names)})
