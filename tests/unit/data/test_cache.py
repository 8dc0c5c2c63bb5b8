from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

from flareseg.data import cache as cache_module
from flareseg.data.cache import Cache
from flareseg.data.datalist import Case, load_cases
from flareseg.site import load_site
from flareseg.task import Task


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the cases that were really prepared."""
    names: list[str] = []
    original = cache_module.preprocess

    def counted(case: Case, *rest: Any) -> Any:
        names.append(case.name)
        return original(case, *rest)

    monkeypatch.setattr(cache_module, "preprocess", counted)
    return names


def make(site_file: Path, task: Task, folder: Path) -> tuple[Cache, Case]:
    site = load_site(site_file)
    return Cache(folder, task, site), load_cases(site.data)["training"][0]


def test_a_second_load_prepares_nothing(site_file: Path, task: Task, tmp_path: Path, calls: list[str]) -> None:
    cache, case = make(site_file, task, tmp_path / "cache")
    first, second = cache.load(case), cache.load(case)
    assert calls == [case.name]
    np.testing.assert_array_equal(first.image, second.image)
    assert [len(voxels) for voxels in first.foreground] == [int(mask.sum()) for mask in first.label]


def test_a_changed_image_or_setting_is_noticed(
    site_file: Path, task: Task, task_content: dict[str, Any], tmp_path: Path, calls: list[str]
) -> None:
    cache, case = make(site_file, task, tmp_path / "cache")
    cache.load(case)
    image = nib.load(case.image)
    nib.save(nib.Nifti1Image(np.asarray(image.dataobj) + 1, image.affine), case.image)
    cache.load(case)
    other = Task.model_validate(task_content | {"modalities": {"CT": {"window": [-100, 100]}}})
    Cache(tmp_path / "cache", other, load_site(site_file)).load(case)
    assert len(calls) == 3


@pytest.mark.parametrize("file", ["image.npy", "label.npy", "foreground.npy"])
def test_a_cut_entry_is_made_again(site_file: Path, task: Task, tmp_path: Path, calls: list[str], file: str) -> None:
    cache, case = make(site_file, task, tmp_path / "cache")
    whole = np.array(cache.load(case).image)
    (entry,) = (tmp_path / "cache").iterdir()
    os.truncate(entry / file, (entry / file).stat().st_size - 5)
    np.testing.assert_array_equal(cache.load(case).image, whole)
    assert len(calls) == 2


def test_nothing_half_written_remains(site_file: Path, task: Task, tmp_path: Path) -> None:
    cache, case = make(site_file, task, tmp_path / "cache")
    case.label.write_bytes(b"")
    with pytest.raises(Exception, match="cannot be read"):
        cache.load(case)
    assert not (tmp_path / "cache").exists() or not list((tmp_path / "cache").iterdir())
