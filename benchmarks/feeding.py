"""Whether data keeps the network busy, and what memory a site takes: each job in a process of its own, two threads.

An epoch draws as many voxels as the training volumes hold. The first one prepares the images and fills the cache.
"""

from __future__ import annotations

import json
import math
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from benchmarks.measure import REPOSITORY, Row, peak_memory

DATA = REPOSITORY.parent / "shared" / "data"
LARGEST_WAIT = 0.1
LARGEST_GIB = 8.0


@dataclass(frozen=True)
class Feed:
    """A job and a site's data for it.

    Attributes:
        job: name of the job.
        site: what site.yaml says but for the cache; None takes the embedded data.
        about: size, as text.
    """

    job: str
    site: dict[str, Any] | None
    about: str


def lits(pattern: str) -> dict[str, Any]:
    """Part of LiTS, whose files hold the liver window in 8 bits."""
    return {
        "modality": "CT",
        "data": {
            "root": str(DATA / "lits"),
            "images": f"volume-{pattern}.nii.gz",
            "labels": f"segmentation-{pattern}.nii.gz",
        },
        "labels": {"liver": [1, 2], "tumour": 2},
        "intensity": {"slope": 400 / 255, "intercept": -160},
    }


POLYPS = {
    "modality": "RGB",
    "data": {"root": str(DATA / "polypgen/data_C5"), "images": "images_C5/*.jpg", "labels": "masks_C5/*_mask.png"},
    "labels": {"polyp": 255},
}
FEEDS = (
    Feed("fedgin-fedgs", None, "slices of the embedded ct-a"),
    Feed("polyps", POLYPS, "208 frames of polypgen C5"),
    Feed("liver-3d", lits("4?"), "volumes 41 to 48 of LiTS"),
)


def run(*, quick: bool) -> list[Row]:
    rows = []
    for feed in FEEDS:
        if feed.site is not None and not DATA.is_dir():
            rows.append(Row(f"Feeding {feed.job}", feed.about, None, None, "s", None, f"not run: needs {DATA}"))
            continue
        found = child(feed, {"epochs": 1, "share": 0.1 if quick else 1.0})
        first, later = found["first"], found["later"]
        rows.append(Row(f"Feeding {feed.job}: waiting in a later epoch", feed.about, *later, "s", LARGEST_WAIT))
        rows.append(Row(f"Feeding {feed.job}: first epoch beside a later one", feed.about, first, later[1], "s"))
    if DATA.is_dir():
        size = "all 23 volumes of LiTS, 20 steps and validation"
        found = child(Feed("liver-3d", lits("*"), size), {"epochs": 0, "validate": True, "steps": 2 if quick else 20})
        rows.append(Row("Peak memory of a 3D site", size, found["gib"], LARGEST_GIB, "GiB", 1.0))
    return rows


def child(feed: Feed, wanted: dict[str, Any]) -> dict[str, Any]:
    """Measure in a new process: its peak of memory is its own."""
    with tempfile.TemporaryDirectory(prefix="flareseg-feeding-") as folder:
        request = {"job": feed.job, "site": feed.site, "folder": folder, **wanted}
        command = [sys.executable, "-m", "benchmarks.feeding", json.dumps(request)]
        done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{feed.job}: {done.stderr[-2000:]}")
    return dict(json.loads(done.stdout.splitlines()[-1]))


def measure(
    job: str,
    site: dict[str, Any] | None,
    folder: Path,
    epochs: int,
    share: float = 1.0,
    steps: int = 0,
    validate: bool = False,
) -> dict[str, Any]:
    """Train as a site does.

    Args:
        job: name of the job.
        site: its site.yaml, or None for the embedded data.
        folder: for the cache and the embedded data.
        epochs: epochs after the first.
        share: of an epoch, for a quick look.
        steps: in place of an epoch.
        validate: score the result on the validation split.
    """
    from flareseg.config.site import load_site
    from flareseg.data.phantom import DEFAULT_SITES
    from flareseg.data.phantom.write import write_phantom_site
    from flareseg.data.site_data import SiteData
    from flareseg.job.folder import load_job
    from flareseg.learning.learner import Learner
    from flareseg.networks import initial_state

    path = folder / "site.yaml"
    if site is None:
        path = write_phantom_site(folder, DEFAULT_SITES[0], seed=0) / "site.yaml"
        site = yaml.safe_load(path.read_text())
    path.write_text(yaml.safe_dump({**site, "threads": 2}))
    task = load_job(REPOSITORY / "jobs" / job)[1]
    started = time.perf_counter()
    data = SiteData(task, load_site(path), folder / "cache")
    if not steps:
        voxels = sum(volume.label[0].size for volume in data.volumes("training"))
        steps = math.ceil(share * voxels / math.prod(task.patch) / task.training.batch_size)
    training = task.training.model_copy(update={"steps": steps, "rounds": epochs + 1})
    task = task.model_copy(update={"training": training})
    learner = Learner(task, data, "site")
    state = initial_state(task)
    learner.train(state, 0)
    first = time.perf_counter() - started
    results = [learner.train(state, number) for number in range(1, epochs + 1)]
    if validate:
        learner.validate(state)
    later = [sum(getattr(item, name) for item in results) / max(epochs, 1) for name in ("waiting_seconds", "seconds")]
    return {
        "first": first,
        "later": later,
        "gib": peak_memory() / 2**30,
    }


if __name__ == "__main__":
    given = json.loads(sys.argv[1])
    print(json.dumps(measure(**{**given, "folder": Path(given["folder"])})))
