"""Several phantom sites at once, on all cores."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

from flareseg.data.phantom.write import DEFAULT_SITES, PhantomSite, write_phantom_site
from flareseg.errors import SettingsError


def write_sites(
    root: Path,
    sites: Sequence[PhantomSite] = DEFAULT_SITES,
    *,
    seed: int = 0,
    done: Callable[[PhantomSite], None] = lambda site: None,
) -> None:
    """Write the data of several sites, see :func:`flareseg.data.phantom.write_phantom_site`.

    Args:
        root: folder of all sites.
        sites: what to make; the demo's three sites where not given.
        seed: seed of the whole data set.
        done: called with each site once it is complete.

    Raises:
        SettingsError: a folder holds data made with other settings.
    """
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(min(len(sites), os.cpu_count() or 1), mp_context=context) as pool:
        futures = {pool.submit(write_phantom_site, root, site, seed=seed): site for site in sites}
        for future in as_completed(futures):
            try:
                future.result()
            except ValueError as error:
                raise SettingsError(str(error), remedy="") from None
            done(futures[future])
