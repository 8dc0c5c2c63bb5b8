from __future__ import annotations

import re
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from flareseg.config.site import Site
from flareseg.config.task import Task
from flareseg.errors import FlaresegError
from flareseg.networks.state import initial_state
from flareseg.record.model_file import save_model, to_numpy
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


def model_of(task: Task, folder: Path) -> Path:
    path = folder / "model.pt"
    save_model(path, to_numpy(initial_state(task)), {})
    return path


@pytest.mark.parametrize("patch", [[16, 16], [16, 16, 16]])
def test_page_of_a_site(site: Site, tmp_path: Path, patch: list[int]) -> None:
    task = settings(patch)
    page = write_site_report(task, site, model_of(task, tmp_path), tmp_path / "out", cases=1, name="mr-a")
    text = page.read_text(encoding="utf-8")
    assert page == tmp_path / "out/mr-a.html"
    assert "Keep this page at the site." in text
    assert "Not annotated here, so not shown: lesion." in text
    assert all(source.startswith("data:image/png;base64,") for source in re.findall(r'src="([^"]*)', text))
    assert text.count("GIN sample ") == 4
    assert "http" not in text


def test_a_task_without_gin_says_so(site: Site, tmp_path: Path) -> None:
    task = settings([16, 16], gin=False)
    page = write_site_report(task, site, model_of(task, tmp_path), tmp_path, cases=1, name="mr-a")
    assert "This task trains without GIN." in page.read_text(encoding="utf-8")


def test_a_model_of_another_task_is_refused(site: Site, tmp_path: Path) -> None:
    model = model_of(settings([16, 16, 16]), tmp_path)
    with pytest.raises(FlaresegError, match=r"model\.pt: its weights are not those of the network of task toy"):
        write_site_report(settings([16, 16]), site, model, tmp_path, name="mr-a")


def test_informative_slices_show_the_rare_label_first() -> None:
    truth = np.zeros((2, 4, 4, 20), bool)
    truth[0, :, :, 3:12] = True
    truth[1, 1, 1, 17] = True
    prediction = truth.copy()
    prediction[0, :, :, 14] = True
    assert informative_slices(truth, prediction, 3) == [3, 14, 17]
    assert informative_slices(truth, prediction, 1) == [17]
    assert informative_slices(truth & False, truth & False) == [10]
