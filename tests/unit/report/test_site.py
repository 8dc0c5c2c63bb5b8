from __future__ import annotations

import re
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from flareseg.config.site import Site
from flareseg.config.task import Task
from flareseg.data.case import SPLITS
from flareseg.learning.trained import Trained
from flareseg.networks.state import build_network, initial_state
from flareseg.report.overlays import informative_slices
from flareseg.report.site import write_site_report

SHAPE = (24, 20, 6)


def settings(patch: list[int], gin: bool = True) -> Task:
    content = {
        "name": "toy",
        "labels": ["liver", "lesion"],
        "modalities": {"MR": {"percentiles": [0, 100]}},
        "patch": patch,
        "network": {"channels": [4, 8]},
        "augmentation": [{"name": "gin"}] if gin else [],
    }
    return Task.model_validate(content)


@pytest.fixture
def site(tmp_path: Path) -> Site:
    rng = np.random.default_rng(0)
    for kind in ("image", "label"):
        (tmp_path / kind).mkdir()
    for number in range(6):
        label = np.zeros(SHAPE, np.int16)
        label[4:15, 5:12, 2:5] = 1
        image = rng.normal(size=SHAPE).astype(np.float32) + 3 * label
        for kind, array in (("image", image), ("label", label)):
            nib.save(nib.Nifti1Image(array, np.diag([2.0, 2.0, 3.0, 1.0])), tmp_path / kind / f"{number}.nii.gz")
    data = {"root": str(tmp_path), "images": "image/*.nii.gz", "labels": "label/*.nii.gz"}
    return Site.model_validate({"modality": "MR", "data": data, "labels": {"liver": 1, "lesion": None}})


def model_of(task: Task) -> Trained:
    network = build_network(task)
    network.load_state_dict(initial_state(task))
    return Trained(network.eval(), task, {})


@pytest.mark.parametrize("patch", [[16, 16], [16, 16, 16]])
def test_page_of_a_site(site: Site, tmp_path: Path, patch: list[int]) -> None:
    page, evaluation = write_site_report(
        model_of(settings(patch)), site, tmp_path / "out", name="mr-a", model_name="best.pt", splits=SPLITS
    )
    text = page.read_text(encoding="utf-8")
    assert page == tmp_path / "out/mr-a.html"
    assert "Keep this page at the site." in text
    assert "Not annotated here, so not shown: lesion." in text
    assert all(source.startswith("data:image/png;base64,") for source in re.findall(r'src="([^"]*)', text))
    assert text.count("GIN sample ") == 8
    assert "http" not in text
    assert "Volumes of the training split are among them" in text
    ranked = evaluation.ranked
    assert len(ranked) == len(evaluation.cases) == 6
    headings = re.findall(r"<h3>(\w+): (\d)</h3>", text)
    assert headings == [
        ("Worst", ranked[0].case.name),
        ("Median", ranked[2].case.name),
        ("Best", ranked[5].case.name),
    ]
    assert re.findall(r"\(n = (\d)\)", text) == ["6"]


def test_held_out_volumes_are_shown_if_nobody_asks_for_others(site: Site, tmp_path: Path) -> None:
    model = model_of(settings([16, 16], gin=False))
    page, evaluation = write_site_report(model, site, tmp_path, name="mr-a", model_name="best.pt")
    text = page.read_text(encoding="utf-8")
    assert evaluation.splits == ("testing",)
    assert "1 testing volume. A federation does not train on them." in text
    assert re.findall(r"<h3>(\w+): ", text) == ["Only"]
    assert "This task trains without GIN." in text


def test_informative_slices_show_the_rare_label_first() -> None:
    truth = np.zeros((2, 4, 4, 20), bool)
    truth[0, :, :, 3:12] = True
    truth[1, 1, 1, 17] = True
    prediction = truth.copy()
    prediction[0, :, :, 14] = True
    assert informative_slices(truth, prediction, 3) == [3, 14, 17]
    assert informative_slices(truth, prediction, 1) == [17]
    assert informative_slices(truth & False, truth & False) == [10]
