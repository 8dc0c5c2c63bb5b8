"""Segmentation on an image's own grid, whatever that is, and what is written beside it."""

from __future__ import annotations

import csv
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from bright import AFFINE, body, bright_model, write
from flareseg.errors import SettingsError
from flareseg.inference.inputs import find_inputs
from flareseg.inference.outputs import CASES, ITK_SNAP, LESIONS, SLICER
from flareseg.inference.run import Wishes, predict
from flareseg.learning.trained import Trained

TURN = np.array([[0.8, -0.6, 0, 10], [0.6, 0.8, 0, -20], [0, 0, 1, 30], [0, 0, 0, 1.0]])
FLIP = np.array([[-1, 0, 0, 40], [0, 0, 1, 0], [0, -1, 0, 90], [0, 0, 0, 1.0]])
GRIDS = {
    "plain": AFFINE,
    "oblique": TURN @ AFFINE,
    "flipped and permuted": FLIP @ AFFINE,
    "both": TURN @ FLIP @ AFFINE,
}


@pytest.mark.parametrize("affine", GRIDS.values(), ids=GRIDS)
def test_the_map_lies_on_the_image(bright: Trained, tmp_path: Path, affine: np.ndarray) -> None:
    path = write(tmp_path / "a.nii.gz", body(), affine)
    found = predict(bright, find_inputs([path]), tmp_path / "out", Wishes(modality="CT"))
    assert found.failed == {}
    image = nib.load(tmp_path / "out" / "a.nii.gz")
    assert np.allclose(image.affine, affine, atol=1e-5)
    values = body()
    expected = np.where(values > 70, 2, np.where(values > 30, 1, 0))
    assert np.array_equal(np.asarray(image.dataobj), expected)


@pytest.mark.parametrize("affine", GRIDS.values(), ids=GRIDS)
def test_the_way_back_from_the_task_s_spacing(tmp_path: Path, affine: np.ndarray) -> None:
    """Linear interpolation keeps a slope exactly, so that any shift of the grids would move its contour."""
    x, y, z = np.indices((40, 36, 12))
    slope = (0.9 * x + 0.7 * y + 2.3 * z + 0.04).astype(np.float32)
    path = write(tmp_path / "a.nii.gz", slope, affine)
    predict(bright_model(spacing=[3.0, 3.0, 4.0]), find_inputs([path]), tmp_path / "out", Wishes(modality="CT"))
    found = np.asarray(nib.load(tmp_path / "out" / "a.nii.gz").dataobj)
    inside = (slice(2, -2),) * 3
    assert np.array_equal(found[inside] > 0, slope[inside] > 30)
    assert np.array_equal(found[inside] > 1, slope[inside] > 70)


def test_volumes_and_lesions(bright: Trained, tmp_path: Path) -> None:
    path = write(tmp_path / "a.nii.gz", body())
    predict(bright, find_inputs([path]), tmp_path / "out", Wishes(modality="CT", flips=True, preview=True))
    liver, lesion = csv.DictReader((tmp_path / "out" / CASES).open())
    assert float(liver["ml"]) == pytest.approx(9 * 10 * 4 * 20 / 1000)
    assert (lesion["components"], float(lesion["ml"])) == ("2", pytest.approx((4 + 18) * 20 / 1000))
    assert (liver["sign"], liver["word"], liver["modality"]) == ("1.000", "sure", "CT")
    sizes = [float(row["ml"]) for row in csv.DictReader((tmp_path / "out" / LESIONS).open())]
    assert sizes == pytest.approx([0.36, 0.08])
    assert (tmp_path / "out" / "a.preview.png").read_bytes()[1:4] == b"PNG"
    assert '"lesion"' in (tmp_path / "out" / ITK_SNAP).read_text()
    assert "\n2 lesion " in (tmp_path / "out" / SLICER).read_text()


def test_one_file_for_each_label_and_probabilities(bright: Trained, tmp_path: Path) -> None:
    path = write(tmp_path / "a.nii.gz", body())
    wishes = Wishes(modality="CT", per_label=True, probabilities=True)
    predict(bright, find_inputs([path]), tmp_path / "out", wishes)
    whole = np.asarray(nib.load(tmp_path / "out" / "a.liver.nii.gz").dataobj)
    assert np.array_equal(whole, body() > 30)  # lesions are liver too: labels may overlap
    likely = np.asarray(nib.load(tmp_path / "out" / "a.liver.probability.nii.gz").dataobj)
    assert np.array_equal(likely > 127, whole)


def test_largest_component_and_holes(bright: Trained, tmp_path: Path) -> None:
    values = body()
    values[15:17, 15:17, 3] = 50  # a spot that is no liver
    values[6, 6, 3] = 0  # a hole
    path = write(tmp_path / "a.nii.gz", values)
    predict(bright, find_inputs([path]), tmp_path / "out", Wishes(modality="CT", largest=True, fill=True))
    found = np.asarray(nib.load(tmp_path / "out" / "a.nii.gz").dataobj)
    assert np.array_equal(found > 0, body() > 30)
    assert (found == 2).sum() == 22  # both lesions stay


def test_one_bad_case_does_not_stop_the_others(bright: Trained, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    write(tmp_path / "in" / "a.nii.gz", body())
    good = write(tmp_path / "in" / "c.nii.gz", body()).read_bytes()
    (tmp_path / "in" / "b.nii.gz").write_bytes(good[: len(good) // 2])
    found = predict(bright, find_inputs([tmp_path / "in"]), tmp_path / "out", Wishes())
    assert [image.source.name for image, _ in found.done] == ["a", "c"]
    assert list(found.failed) == ["b"]
    assert "cut short" in found.failed["b"].remedy
    assert not list((tmp_path / "out").glob("b.*"))
    assert not list((tmp_path / "out").glob(".*"))


def test_a_guess_is_called_one(bright: Trained, tmp_path: Path) -> None:
    path = write(tmp_path / "a.nii.gz", body())
    ((image, _),) = predict(bright, find_inputs([path]), tmp_path / "out", Wishes()).done
    assert image.modality == "CT"
    assert "taken for CT by its values" in image.doubts[0]


def test_inputs_of_every_kind(tmp_path: Path) -> None:
    for name in ("x/a.nii.gz", "y/a.nii", "z/frame.PNG", "z/.hidden.png"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"")
    (tmp_path / "d").mkdir()
    for number in range(2):
        (tmp_path / "d" / f"{number}").write_bytes(bytes(128) + b"DICM")
    listed = tmp_path / "list.json"
    listed.write_text('{"training": [{"image": "x/a.nii.gz", "label": "no"}], "testing": [{"image": "y/a.nii"}]}')
    assert [(item.name, item.kind) for item in find_inputs([tmp_path / "d", tmp_path / "z"])] == [
        ("d", "dicom"),
        ("frame", "frame"),
    ]
    assert [item.name for item in find_inputs([listed])] == ["a", "a-2"]
    assert [item.name for item in find_inputs([tmp_path])] == ["d", "x-a", "y-a", "z-frame"]
    with pytest.raises(SettingsError, match="one file of a DICOM series"):
        find_inputs([tmp_path / "d" / "0"])
