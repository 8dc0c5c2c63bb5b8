"""The real data sets beside the repository are prepared and load as training data; not a byte of them changes."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

from flareseg.config.site import Site, check_site_fits, load_site
from flareseg.config.task import Task
from flareseg.data.datalist import load_cases
from flareseg.data.prepare.layouts.source import Given
from flareseg.data.prepare.order import Order
from flareseg.data.prepare.run import prepare
from flareseg.data.site_data import SiteData

pytestmark = pytest.mark.shared_data

LIVER: dict[str, Any] = {
    "name": "liver",
    "labels": ["liver", "kidneys", "tumour"],
    "modalities": {"CT": {"window": [-160, 240]}, "MR": {"percentiles": [0.5, 99.5]}},
    "spacing": [3.0, 3.0, None],
    "patch": [64, 64],
    "lesion": {"label": "tumour", "small_mm": 20},
}
POLYPS: dict[str, Any] = {
    "name": "polyps",
    "labels": ["polyp"],
    "modalities": {"RGB": {"window": [0, 255]}},
    "resize": [64, 64],
    "patch": [64, 64],
    "lesion": {"label": "polyp", "small_px": 6},
}


def digests(folder: Path) -> dict[Path, tuple[str, int]]:
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {path: (hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_mtime_ns) for path in files}


def prepared(
    shared_dir: Path, folder: Path, content: dict[str, Any], layout: Any, name: str, **more: Any
) -> list[Site]:
    """Prepare a real set, check that it stays as it was and that every case loads."""
    source, task = shared_dir / "data" / name, Task.model_validate(content)
    if not source.is_dir():
        pytest.skip(f"needs {source}")
    before = digests(source)
    written = prepare(Order(layout, source, folder / "dest", task, **more), lambda done, total: None)
    assert digests(source) == before
    sites = []
    for part in written:
        site = load_site(part.site_file)
        check_site_fits(site, task, part.site_file)
        data = SiteData(task, site, cache=folder / "cache")
        for split, count in part.cases.items():
            volumes = data.volumes(split)
            assert len(volumes) == count
            assert all(np.isfinite(volume.image).all() for volume in volumes)
        training = data.volumes("training")
        for index in data.annotated:
            assert any(volume.label[index].any() for volume in training)
        sites.append(site)
    return sites


def liver_values(site: Site) -> np.ndarray:
    """Stored values of the liver in all training images, scaled as site.yaml says."""
    values = []
    for case in load_cases(site.data)["training"]:
        image, label = (np.asarray(nib.load(path).dataobj) for path in (case.image, case.label))
        values.append(image[np.isin(label, site.labels["liver"] or ())])
    return np.concatenate(values) * site.intensity.slope + site.intensity.intercept


def test_chaos_ct_from_dicom_and_png(shared_dir: Path, tmp_path: Path) -> None:
    """The mask lies on the liver: 32 slices of 0.73 x 0.73 x 2 mm, enhanced liver tissue around 100 HU."""
    (site,) = prepared(shared_dir, tmp_path, LIVER, "chaos", "chaos-ct")
    (case,) = load_cases(site.data)["training"]
    image = nib.load(case.image)
    assert image.shape == (512, 512, 32)
    np.testing.assert_allclose(image.header.get_zooms(), (0.7265625, 0.7265625, 2.0))
    np.testing.assert_allclose(image.affine @ (0, 0, 31, 1), (185, 98, 1650.5, 1))
    values = liver_values(site)
    assert 60 < np.median(values) < 160
    assert np.mean((values > -20) & (values < 260)) > 0.97


def test_totalsegmentator_ct_and_mr(shared_dir: Path, tmp_path: Path) -> None:
    ct, mr = prepared(shared_dir, tmp_path, LIVER, "totalsegmentator", "totalsegmentator")
    assert (ct.modality, mr.modality) == ("CT", "MR")
    assert ct.labels["tumour"] is mr.labels["tumour"] is None
    assert 20 < np.median(liver_values(ct)) < 160
    for site in (ct, mr):
        (case,) = load_cases(site.data)["training"]
        merged = np.asarray(nib.load(case.label).dataobj)
        organs = case.image.parent / "segmentations"
        for label, names in (("liver", ["liver"]), ("kidneys", ["kidney_left", "kidney_right"])):
            truth = sum(np.asarray(nib.load(organs / f"{name}.nii.gz").dataobj) > 0 for name in names) > 0
            np.testing.assert_array_equal(np.isin(merged, site.labels[label] or ()), truth)


@pytest.mark.slow
def test_lits(shared_dir: Path, tmp_path: Path) -> None:
    (site,) = prepared(shared_dir, tmp_path, LIVER, "lits", "lits", window=(-160.0, 240.0))
    assert site.labels == {"liver": (1, 2), "kidneys": None, "tumour": (2,)}
    assert sum(len(cases) for cases in load_cases(site.data).values()) == 23
    assert 20 < np.median(liver_values(site)) < 160


@pytest.mark.slow
def test_chaos_mr(shared_dir: Path, tmp_path: Path) -> None:
    (site,) = prepared(shared_dir, tmp_path, LIVER, "chaos", "chaos-mr", given=Given(modality="MR"))
    assert site.labels == {"liver": (1,), "kidneys": (2, 3), "tumour": None}
    assert {split: len(cases) for split, cases in load_cases(site.data).items()} == {
        "training": 8,
        "validation": 3,
        "testing": 3,
    }


@pytest.mark.slow
def test_polypgen_five_centres(shared_dir: Path, tmp_path: Path) -> None:
    sites = prepared(shared_dir, tmp_path, POLYPS, "polypgen", "polypgen")
    assert len(sites) == 5
    cases = [case for site in sites for part in load_cases(site.data).values() for case in part]
    assert len(cases) == 1449
    assert len({case.patient for case in cases}) < len(cases)
