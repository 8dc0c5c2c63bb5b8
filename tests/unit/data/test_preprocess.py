from __future__ import annotations

from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

from flareseg.config.site import Site
from flareseg.config.task import Intensity, Task
from flareseg.data.case import Case
from flareseg.data.preprocess import normalize, preprocess
from flareseg.errors import DataError, ErrorCode

AFFINE = np.diag([2.0, 2.0, 5.0, 1.0])
SITE: dict[str, Any] = {
    "modality": "CT",
    "data": {"root": ".", "images": "*", "labels": "*"},
    "labels": {"liver": [1, 3], "spleen": 2, "lesion": None},
}


def save(
    folder: Path, image: np.ndarray, label: np.ndarray, affine: np.ndarray = AFFINE, label_affine: np.ndarray = AFFINE
) -> Case:
    nib.save(nib.Nifti1Image(image, affine), folder / "image.nii.gz")
    nib.save(nib.Nifti1Image(label, label_affine), folder / "label.nii.gz")
    return Case("case", folder / "image.nii.gz", folder / "label.nii.gz")


def volume() -> tuple[np.ndarray, np.ndarray]:
    label = np.zeros((20, 18, 5), dtype=np.uint8)
    label[2:6, 2:6, 1] = 1
    label[8:12, 2:6, 2] = 2
    label[3, 3, 1] = 3
    return np.linspace(-300, 300, label.size, dtype=np.float32).reshape(label.shape), label


def test_masks_window_and_unannotated_label(tmp_path: Path, task: Task) -> None:
    image, label = volume()
    got_image, got_label, spacing = preprocess(save(tmp_path, image, label), task, Site.model_validate(SITE))
    assert got_image.shape == (1, 20, 18, 5)
    assert got_image.dtype == np.float32
    np.testing.assert_allclose(got_image[0], np.clip((image + 160) / 400, 0, 1), atol=1e-6)
    np.testing.assert_array_equal(got_label[0], np.isin(label, (1, 3)))
    np.testing.assert_array_equal(got_label[1], label == 2)
    assert not got_label[2].any()
    np.testing.assert_allclose(spacing, (2, 2, 5))


def test_stored_values_are_scaled_to_hu(tmp_path: Path, task: Task) -> None:
    image, label = volume()
    stored = ((image + 300) / 600 * 255).astype(np.float32)
    site = Site.model_validate(SITE | {"intensity": {"slope": 600 / 255, "intercept": -300}})
    got, _, _ = preprocess(save(tmp_path, stored, label), task, site)
    np.testing.assert_allclose(got[0], np.clip((image + 160) / 400, 0, 1), atol=1e-5)


def test_orientation_becomes_ras(tmp_path: Path, task: Task) -> None:
    image, label = volume()
    want = preprocess(save(tmp_path, image, label), task, Site.model_validate(SITE))
    lps = np.diag([-2.0, -2.0, 5.0, 1.0])
    lps[:2, 3] = (2.0 * 19, 2.0 * 17)
    turned = save(tmp_path, image[::-1, ::-1], label[::-1, ::-1], lps, lps)
    got = preprocess(turned, task, Site.model_validate(SITE))
    for one, other in zip(want, got, strict=True):
        np.testing.assert_array_equal(one, other)


def test_resampling_keeps_volume_and_masks(tmp_path: Path, task_content: dict[str, Any]) -> None:
    image, label = volume()
    task = Task.model_validate(task_content | {"spacing": [1.0, 1.0, None]})
    got, masks, spacing = preprocess(save(tmp_path, image, label), task, Site.model_validate(SITE))
    assert got.shape[3] == 5
    assert abs(got.shape[1] - 40) <= 1
    np.testing.assert_allclose(spacing, (1, 1, 5))
    assert set(np.unique(masks)) <= {0, 1}
    assert masks[1].sum() == pytest.approx(4 * (label == 2).sum(), rel=0.15)


def test_percentiles_are_of_each_image() -> None:
    values = np.arange(1001, dtype=np.float32)
    scaled = normalize(values, Intensity(percentiles=(10, 90)))
    np.testing.assert_allclose(scaled[[0, 100, 500, 900, 1000]], (0, 0, 0.5, 1, 1), atol=1e-6)
    assert np.isfinite(normalize(np.zeros(10, dtype=np.float32), Intensity(percentiles=(0, 100)))).all()


def spoiled(folder: Path, fault: str) -> Case:
    image, label = volume()
    if fault == "shape":
        return save(folder, image, label[:-1])
    if fault == "dimensions":
        return save(folder, np.stack([image, image], -1), label)
    if fault == "affine":
        return save(folder, image, label, label_affine=AFFINE + np.eye(4, k=3) * 3)
    if fault == "nan":
        image[0, 0, 0] = np.nan
        return save(folder, image, label)
    if fault == "fractions":
        return save(folder, image, label.astype(np.float32) * 0.5)
    case = save(folder, image, label)
    if fault == "cut":
        case.image.write_bytes(case.image.read_bytes()[:2000])
    if fault == "damaged":
        case.image.write_bytes(case.image.read_bytes()[:-8] + bytes(4) + case.image.read_bytes()[-4:])
    if fault == "not nifti":
        case.label.write_bytes(b"hello")
    if fault == "gone":
        case.image.unlink()
    return case


@pytest.mark.parametrize(
    ("fault", "code", "words"),
    [
        ("shape", ErrorCode.SHAPE_MISMATCH, "label.nii.gz: expected the image's shape 20 × 18 × 5, found 19 × 18 × 5"),
        ("dimensions", ErrorCode.SHAPE_MISMATCH, "three dimensions"),
        ("affine", ErrorCode.SHAPE_MISMATCH, "label.nii.gz: lies 3.0 mm off its image"),
        ("nan", ErrorCode.UNREADABLE_IMAGE, "image.nii.gz: 1 voxels are NaN"),
        ("fractions", ErrorCode.BAD_LABEL, "label.nii.gz: expected whole numbers"),
        ("cut", ErrorCode.UNREADABLE_IMAGE, "image.nii.gz: ends too early"),
        ("damaged", ErrorCode.UNREADABLE_IMAGE, "image.nii.gz: cannot be decoded .CRC check failed"),
        ("not nifti", ErrorCode.UNREADABLE_IMAGE, "label.nii.gz: the content is not compressed"),
        ("gone", ErrorCode.NO_DATA, "image.nii.gz: no such file"),
    ],
)
def test_a_bad_case_is_named_with_its_fault(
    tmp_path: Path, task: Task, fault: str, code: ErrorCode, words: str
) -> None:
    with pytest.raises(DataError, match=words) as error:
        preprocess(spoiled(tmp_path, fault), task, Site.model_validate(SITE))
    assert error.value.code is code
    assert error.value.case == "case"
    assert error.value.remedy
