"""What preparing images costs: a volume beside MONAI's own transforms of the same steps, and whole data sets.

Where the real images beside the repository are missing, nothing is run.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from monai.transforms import (
    Compose,
    ConcatItemsd,
    CopyItemsd,
    EnsureChannelFirstd,
    LabelToMaskd,
    LoadImaged,
    Orientationd,
    ScaleIntensityRanged,
    Spacingd,
)

from benchmarks.measure import REPOSITORY, Row, in_turn
from flareseg.config.site import Site, load_site
from flareseg.config.task import Task, load_task
from flareseg.data.case import Case
from flareseg.data.check.case import CaseCheck
from flareseg.data.check.run import full_check
from flareseg.data.prepare.layouts.source import Given
from flareseg.data.prepare.order import Order
from flareseg.data.prepare.run import prepare
from flareseg.data.preprocess import preprocess

DATA = REPOSITORY.parent / "shared" / "data"
LARGEST_RATIO = 1.2
LIMIT = "resampled, both spend most of their time in PyTorch's grid and its sampling; ours checks the voxels, too"
WINDOW, EIGHT_BIT = (-160.0, 240.0), (0.0, 255.0)
SPACINGS = {"as stored": (None, None, None), "to 3 mm in plane": (3.0, 3.0, None)}
SETS: tuple[tuple[str, str, str, dict[str, Any]], ...] = (
    ("lits", "lits", "liver-ct-mr", {"window": WINDOW}),
    ("chaos-mr", "chaos", "liver-ct-mr", {"given": Given(modality="MR")}),
    ("chaos-ct", "chaos", "liver-ct-mr", {}),
    ("totalsegmentator", "totalsegmentator", "fedgin-fedgs", {}),
    ("polypgen", "polypgen", "polyps", {}),
)
"""Folder, layout, the job whose task it is prepared for, and what else the order says."""


def run(*, quick: bool) -> list[Row]:
    if not DATA.is_dir():
        return [Row("Preprocessing a volume", "LiTS", None, None, "s", LARGEST_RATIO, f"not run: needs {DATA}")]
    numbers, repeats = ((41,), 1) if quick else ((41, 10), 7)
    rows = [_volume(number, *item, repeats) for number in numbers for item in SPACINGS.items()]
    for name, layout, job, more in SETS[2:3] if quick else SETS:
        task = load_task(REPOSITORY / "jobs" / job / "app/config/task.yaml")
        with tempfile.TemporaryDirectory(prefix="flareseg-preparing-") as folder:
            order = Order(layout, DATA / name, Path(folder, "site"), task, **more)
            started = time.perf_counter()
            sites = prepare(order, lambda done, total: None)
            prepared = time.perf_counter()
            cases = 0
            for site in sites:
                cases += len(full_check(CaseCheck(load_site(site.site_file), task), site.site_file).cases)
            checked = time.perf_counter()
        taken = (prepared - started, checked - prepared)
        rows.append(Row("data prepare, beside data check", f"{name}: {cases} cases", *taken, "s"))
    return rows


def _volume(number: int, about: str, spacing: tuple[float | None, ...], repeats: int) -> Row:
    image, label = (DATA / "lits" / f"{kind}-{number}.nii.gz" for kind in ("volume", "segmentation"))
    task = Task(
        name="liver",
        labels=("liver", "tumour"),
        modalities={"CT": {"window": WINDOW}},
        spacing=spacing,
        patch=(96, 96),
        lesion={"label": "tumour", "small_mm": 20},
    )
    scale = {"slope": (WINDOW[1] - WINDOW[0]) / EIGHT_BIT[1], "intercept": WINDOW[0]}
    site = Site(
        modality="CT",
        data={"root": image.parent, "images": "volume-*", "labels": "segmentation-*"},
        labels={"liver": (1, 2), "tumour": 2},
        intensity=scale,
    )
    case, monai = Case(str(number), image, label), _monai(spacing)
    files = {"image": image, "liver": label}
    ours, theirs = preprocess(case, task, site), monai(files)
    np.testing.assert_allclose(ours[0], theirs["image"].numpy(), atol=1e-4)
    assert (ours[1] != theirs["label"].numpy()).mean() < 1e-4, "other steps"
    tasks: tuple[Callable[[], object], ...] = (lambda: preprocess(case, task, site), lambda: monai(files))
    return Row(
        f"Preprocessing a volume, {about}", f"LiTS {number}", *in_turn(tasks, repeats), "s", LARGEST_RATIO, LIMIT
    )


def _monai(spacing: tuple[float | None, ...]) -> Compose:
    """The steps of ``flareseg.data.preprocess`` in MONAI's words, without the checks."""
    both = ("image", "liver")
    steps: list[Any] = [
        LoadImaged(both, reader="NibabelReader"),
        EnsureChannelFirstd(both),
        Orientationd(both, axcodes="RAS"),
    ]
    if any(spacing):
        pixdim = [size or -1 for size in spacing]
        steps.append(Spacingd(both, pixdim=pixdim, mode=("bilinear", "nearest"), padding_mode="border"))
    steps += [
        ScaleIntensityRanged("image", *EIGHT_BIT, 0.0, 1.0, clip=True),
        CopyItemsd("liver", names="tumour"),
        LabelToMaskd("liver", select_labels=[1, 2]),
        LabelToMaskd("tumour", select_labels=[2]),
        ConcatItemsd(("liver", "tumour"), name="label"),
    ]
    return Compose(steps)
