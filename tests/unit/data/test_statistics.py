"""A site's features: a record is a patient, and no single voxel is disclosed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from flareseg.config.site import Site, load_site
from flareseg.config.task import Task
from flareseg.data.case import Case
from flareseg.data.datalist import load_cases
from flareseg.data.statistics import INTENSITY_SAMPLES, Feature, measure, site_features

VOXEL_ML = 2 * 2 * 5 / 1000


def cases_of(site: Site) -> list[Case]:
    return [case for part in load_cases(site.data).values() for case in part]


def test_features_of_a_site(task: Task, site_file: Path) -> None:
    site = load_site(site_file)
    features = site_features(cases_of(site), task, site)
    assert set(features) == {
        f"CT {subject}"
        for subject in (
            "cases",
            "intensity",
            "liver voxels",
            "liver ml",
            "spleen voxels",
            "spleen ml",
            "lesion voxels",
            "lesion ml",
            "components",
            "component mm",
        )
    }
    assert all(feature.patients == 6 for feature in features.values())
    # tiny: a liver of 8 x 8 x 3 voxels, a spleen of 4 x 5 x 3, one lesion of 2 x 2 x 1
    assert features["CT cases"].total() == 6
    assert features["CT liver voxels"].total() == 6 * 8 * 8 * 3
    assert features["CT liver ml"].total() == pytest.approx(6 * 8 * 8 * 3 * VOXEL_ML)
    assert features["CT spleen voxels"].total() == 6 * 4 * 5 * 3
    assert features["CT components"].total() == 6
    diameter = (6 * 4 * VOXEL_ML * 1000 / np.pi) ** (1 / 3)
    assert features["CT component mm"].total() == pytest.approx(6 * diameter)
    assert sum(count for _, _, count in features["CT intensity"].histogram(7, -200, 300)) == pytest.approx(6)


def test_a_patient_of_two_cases_is_one_record(task: Task, site_file: Path) -> None:
    site = load_site(site_file)
    cases = [replace(case, patient=f"p{number // 2}") for number, case in enumerate(cases_of(site))]
    features = site_features(cases, task, site)
    assert features["CT cases"].patients == features["CT intensity"].patients == 3
    assert features["CT cases"].total() == 6
    assert sum(count for *_, count in features["CT liver ml"].histogram(5, 0, 10)) == 6
    assert sum(count for *_, count in features["CT intensity"].histogram(5, 0, 10)) == pytest.approx(3)


def test_what_was_not_annotated_is_no_feature(task: Task, site_file: Path) -> None:
    site = load_site(site_file)
    site = site.model_copy(update={"labels": {**site.labels, "spleen": None, "lesion": None}})
    names = set(site_features(cases_of(site), task, site))
    assert names == {"CT cases", "CT intensity", "CT liver voxels", "CT liver ml"}


def test_an_rgb_frame_counts_in_pixels(task_content: dict[str, Any], tmp_path: Path) -> None:
    mask = np.zeros((32, 32), dtype=np.uint8)
    mask[4:12, 4:12] = 255
    frame = np.full((32, 32, 3), 90, dtype=np.uint8)
    frame[:16] = 30
    Image.fromarray(frame).save(tmp_path / "x.png")
    Image.fromarray(mask).save(tmp_path / "m.png")
    task = Task.model_validate(
        task_content
        | {"labels": ["polyp"], "modalities": {"RGB": {"window": [0, 255]}}, "fedgs": None}
        | {"lesion": {"label": "polyp", "small_px": 8}}
    )
    site = Site.model_validate(
        {"modality": "RGB", "data": {"root": ".", "images": "*", "labels": "*"}, "labels": {"polyp": 255}}
    )
    got = {name: values for name, values, _ in measure(Case("x", tmp_path / "x.png", tmp_path / "m.png"), task, site)}
    assert got["polyp voxels"] == [64]
    assert got["component px"] == pytest.approx([2 * (64 / np.pi) ** 0.5])
    assert set(got["intensity"]) == {30.0, 90.0}
    assert "polyp ml" not in got


def test_ranges_hide_extremes_and_histograms_keep_them() -> None:
    feature = Feature(together=True, values={"a": [0.0] * 500 + [4000.0], "b": [10.0] * 500})
    assert feature.range() == (0.0, 10.0)
    bins = feature.histogram(2, 0, 20)
    assert [(low, high) for low, high, _ in bins] == [(0, 10), (10, 20)]
    assert [count for *_, count in bins] == pytest.approx([500 / 501, 1 + 1 / 501])


def test_a_large_image_is_sampled(task: Task, site_file: Path) -> None:
    site = load_site(site_file)
    (values,) = [values for name, values, _ in measure(cases_of(site)[0], task, site) if name == "intensity"]
    assert len(values) == min(20 * 18 * 5, INTENSITY_SAMPLES)
