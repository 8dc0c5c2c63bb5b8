"""Training and check read the same: what the check finds wrong in a case training refuses, in the same words."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

from flareseg.config.site import Site, load_site
from flareseg.config.task import Task, load_task
from flareseg.data.case import Case
from flareseg.data.check.case import CaseCheck
from flareseg.data.check.repeats import repeats_at
from flareseg.data.check.run import full_check
from flareseg.data.datalist import list_cases
from flareseg.data.faults import FileFault, Level, SplitFault
from flareseg.data.faults.findings import CaseError
from flareseg.data.phantom import PhantomSite, make_case, write_phantom_site
from flareseg.data.reader import read_case, read_scan
from flareseg.data.site_data import SiteData
from flareseg.learning.learner import Learner
from flareseg.networks import initial_state
from site_faults import FAULTS, Fault, PlantedSite

AFFINE = np.diag([2.0, 2.0, 5.0, 1.0])
SITE = Site(modality="MR", data={"root": ".", "datalist": "d.json"}, labels={"liver": 1})
OF_ONE_CASE = [
    fault
    for fault in FAULTS
    if fault.level == "error" and fault.case is not None and not fault.forbidden
    if not isinstance(fault.kind, SplitFault) and fault.kind is not FileFault.NOT_PREPARABLE
]


def save(folder: Path, image: np.ndarray, label: np.ndarray, affine: np.ndarray = AFFINE) -> Case:
    for name, array in (("image", image), ("label", label)):
        nib.save(nib.Nifti1Image(array, affine), folder / f"{name}.nii.gz")
    return Case("case", folder / "image.nii.gz", folder / "label.nii.gz")


def volume() -> tuple[np.ndarray, np.ndarray]:
    label = np.zeros((16, 14, 6), np.uint8)
    label[4:9, 3:8, 1:5] = 1
    return (label.astype(int) * 300 + np.random.default_rng(0).integers(100, 140, label.shape)).astype(np.int16), label


@pytest.mark.parametrize("fault", OF_ONE_CASE, ids=lambda fault: f"{fault.kind.id}: {fault.plant.__name__}")
def test_what_the_check_finds_wrong_training_refuses_in_the_same_words(tmp_path: Path, fault: Fault) -> None:
    site = PlantedSite(tmp_path / "site", fault.modality)
    fault.plant(site)
    site.save()
    task, settings = load_task(site.folder / "task.yaml"), load_site(site.file)
    found = full_check(CaseCheck(settings, task), site.file, processes=1).findings
    with pytest.raises(CaseError) as error:
        SiteData(task, settings, tmp_path / "cache")
    assert error.value.finding.kind is fault.kind
    assert error.value.message in {finding.message for finding in found}


@pytest.mark.parametrize("axes", [1, 2])
def test_further_axes_of_length_one_do_not_count(tmp_path: Path, axes: int) -> None:
    image, label = volume()
    want = read_scan(save(tmp_path, image, label), SITE, None)
    longer = image.reshape(*image.shape, *[1] * axes)
    got = read_scan(save(tmp_path, longer, label.reshape(*label.shape, *[1] * (3 - axes))), SITE, None)
    np.testing.assert_array_equal(got.image, want.image)
    np.testing.assert_array_equal(got.masks["liver"], want.masks["liver"])


@pytest.mark.parametrize(("largest", "dtype"), [(3, np.uint16), (5, np.uint8), (20, np.uint8), (40, np.int16)])
def test_a_label_saved_with_a_scale_has_its_whole_numbers(tmp_path: Path, largest: int, dtype: type) -> None:
    image, label = volume()
    many = label.astype(int) * (1 + np.arange(label.size).reshape(label.shape) % largest)
    case = save(tmp_path, image, label)
    header = nib.Nifti1Header()
    header.set_data_dtype(dtype)
    nib.save(nib.Nifti1Image(many.astype(np.float64), AFFINE, header), case.label)
    site = SITE.model_copy(update={"labels": {"liver": tuple(range(1, largest + 1))}})
    scan, findings = read_case(case, site, None)
    assert scan is not None
    assert [finding.level for finding in findings] in ([], [Level.WARNING])
    np.testing.assert_array_equal(scan.label, many)


def test_directions_that_differ_in_their_last_digits_are_one_grid(tmp_path: Path) -> None:
    image, label = volume()
    case = save(tmp_path, image, label)
    turned = AFFINE.copy()
    turned[0, 1], turned[1, 0] = 2 * 2e-4, -2 * 2e-4
    nib.save(nib.Nifti1Image(label, turned), case.label)
    assert read_case(case, SITE, None)[1] == []


def leave_out(site: PlantedSite) -> None:
    site.settings["data"]["on_bad_case"] = "leave_out"


def test_a_site_may_train_without_its_bad_cases_and_counts_them(tmp_path: Path) -> None:
    site = PlantedSite(tmp_path / "site")
    site.image(1).write_bytes(b"")
    nib.save(nib.Nifti1Image(np.zeros((24, 22, 8), np.uint8), AFFINE), site.label(4))  # found by its voxels alone
    site.save()
    task = load_task(site.folder / "task.yaml")
    with pytest.raises(CaseError, match="holds no bytes"):
        SiteData(task, load_site(site.file), tmp_path / "cache")
    leave_out(site)
    site.save()
    lines: list[str] = []
    data = SiteData(task, load_site(site.file), tmp_path / "cache", lines.append)
    assert (data.excluded, data.left_out) == (0, 2)
    assert (len(data.volumes("training")), len(data.volumes("validation"))) == (3, 0)
    assert [line.partition(":")[0] for line in lines] == ["left out"] * 2
    report = full_check(CaseCheck(load_site(site.file), task), site.file, processes=1)
    assert (report.excluded, report.left_out) == (0, 2)


def test_no_training_case_is_left(tmp_path: Path) -> None:
    site = PlantedSite(tmp_path / "site")
    leave_out(site)
    for number in range(4):
        site.image(number).write_bytes(b"")
    site.save()
    with pytest.raises(CaseError, match="every training case has a fault"):
        SiteData(load_task(site.folder / "task.yaml"), load_site(site.file), tmp_path / "cache")


@pytest.mark.parametrize("where", ["site.yaml", "datalist", "patterns"])
@pytest.mark.parametrize("name", ["case-1", "case-1.nii.gz", "*-1"])
def test_excluded_cases_are_not_used_whatever_is_wrong_with_them(tmp_path: Path, where: str, name: str) -> None:
    site = PlantedSite(tmp_path / "site")
    site.label(1).unlink()
    if where == "datalist":
        site.datalist["exclude"] = [name]
    else:
        if where == "patterns":
            site.use_patterns()
        site.settings["data"]["exclude"] = [name]
    site.save()
    listing = list_cases(load_site(site.file).data)
    assert (listing.findings, listing.excluded) == ([], 1)
    assert sum(map(len, listing.splits.values())) == 5
    assert "case-1" not in json.dumps([case.image.name for cases in listing.splits.values() for case in cases])


CHANNELS: dict[str, Any] = {
    "name": "two-contrasts",
    "labels": ["liver", "lesion"],
    "modalities": {"MR": {"percentiles": [0.5, 99.5]}},
    "channels": ["t1", "t2"],
    "patch": [32, 32],
    "lesion": {"label": "lesion", "small_mm": 15},
    "spacing": [6, 6, None],
    "network": {"name": "unet", "channels": [4, 8]},
    "training": {"rounds": 2, "steps": 2, "batch_size": 2},
}


def test_two_contrasts_of_the_phantom_train_as_two_channels(tmp_path: Path) -> None:
    made = PhantomSite("mr-2", "MR", training=2, validation=1, testing=0, contrasts=("t2", "t1"))
    folder = write_phantom_site(tmp_path, made, seed=0)
    (image, _, _), path = make_case(0, "mr-2", 0, "MR"), folder / "images" / "case-000-t2.nii.gz"
    np.testing.assert_array_equal(np.asarray(nib.load(path).dataobj), image)  # the contrast that sites have by default
    site = load_site(folder / "site.yaml")
    task = Task.model_validate(CHANNELS)
    found = full_check(CaseCheck(site, task), folder / "site.yaml", processes=1)
    assert [finding for finding in found.findings if finding.level is Level.ERROR] == []
    data = SiteData(task, site, tmp_path / "cache")
    (first, _) = data.volumes("training")
    assert first.image.shape[0] == task.in_channels == 2
    turned = Task.model_validate(CHANNELS | {"channels": ["t2", "t1"]})
    other = SiteData(turned, site, tmp_path / "cache").volumes("training")[0]
    np.testing.assert_array_equal(first.image, other.image[::-1])
    one = Task.model_validate(CHANNELS | {"channels": ["t2"]})
    np.testing.assert_array_equal(SiteData(one, site, tmp_path / "cache").volumes("training")[0].image, first.image[1:])
    result = Learner(task, data, "site").train(initial_state(task), 0)
    assert np.isfinite(result.loss or np.nan)
    unnamed = Task.model_validate(CHANNELS | {"channels": []})
    with pytest.raises(CaseError, match="the task takes one channel, the case has t2, t1"):
        SiteData(unnamed, site, tmp_path / "cache")


def test_the_second_contrast_is_of_the_same_patient() -> None:
    (t2, labels, affine), (t1, same_labels, same_affine) = (
        make_case(1, "a", 3, "MR", contrast) for contrast in ("t2", "t1")
    )
    np.testing.assert_array_equal(labels, same_labels)
    np.testing.assert_array_equal(affine, same_affine)
    liver, lesion = labels == 1, labels == 5
    assert t2[lesion].mean() > 1.3 * t2[liver].mean()
    assert t1[lesion].mean() < 0.85 * t1[liver].mean()


@pytest.mark.parametrize("seed", range(3))
def test_a_stack_repeats_only_where_it_does(seed: int) -> None:
    """Second phases of other contrast and noise, of another number of slices; single scans never."""
    rng = np.random.default_rng(seed)
    image = make_case(seed, "a", 0, "CT")[0].astype(float)
    assert repeats_at(image) is None
    again = np.clip(image * 1.2 + rng.normal(0, 15, image.shape), -1000, 1000)
    assert repeats_at(np.concatenate([image, again], 2)) == image.shape[2]
    assert repeats_at(np.concatenate([image, again[..., 4:]], 2)) in range(image.shape[2] - 5, image.shape[2] + 1)
