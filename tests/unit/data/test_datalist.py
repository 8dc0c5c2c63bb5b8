from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from flareseg.config.site import DataSource
from flareseg.data.case import Case
from flareseg.data.datalist import load_cases, split_cases
from flareseg.errors import DataError


def touch(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


@pytest.mark.parametrize(
    ("images", "labels", "files", "keys"),
    [
        ("volume-*.nii.gz", "segmentation-*.nii.gz", ["volume-1.nii.gz", "segmentation-1.nii.gz"], ["1"]),
        ("*/image.nii.gz", "*/label.nii.gz", ["7/image.nii.gz", "7/label.nii.gz"], ["7"]),
        ("**/img-*.nii", "**/seg-*.nii", ["a/b/img-x.nii", "a/b/seg-x.nii"], ["a/b|x"]),
    ],
)
def test_files_pair_by_what_the_wildcards_match(
    tmp_path: Path, images: str, labels: str, files: list[str], keys: list[str]
) -> None:
    touch(tmp_path, *files)
    cases = load_cases(DataSource(root=tmp_path, images=images, labels=labels))
    assert [case.name for case in cases["training"]] == keys
    assert cases["training"][0].image == tmp_path / files[0]
    assert cases["training"][0].label == tmp_path / files[1]


def test_ten_does_not_pair_with_one(tmp_path: Path) -> None:
    touch(tmp_path, "volume-1.nii", "volume-10.nii", "segmentation-10.nii", "segmentation-1.nii")
    cases = load_cases(DataSource(root=tmp_path, images="volume-*.nii", labels="segmentation-*.nii"))
    for case in cases["training"]:
        assert case.image.name.replace("volume", "segmentation") == case.label.name


@pytest.mark.parametrize(
    ("missing", "other"), [("segmentation-2.nii", "has no label"), ("volume-2.nii", "has no image")]
)
def test_a_lonely_file_is_an_error(tmp_path: Path, missing: str, other: str) -> None:
    touch(tmp_path, "volume-1.nii", "segmentation-1.nii", "volume-2.nii", "segmentation-2.nii")
    (tmp_path / missing).unlink()
    with pytest.raises(DataError, match=other):
        load_cases(DataSource(root=tmp_path, images="volume-*.nii", labels="segmentation-*.nii"))


def test_nothing_there(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="nothing matches"):
        load_cases(DataSource(root=tmp_path, images="*.nii", labels="*.seg"))
    with pytest.raises(DataError, match="no such folder"):
        load_cases(DataSource(root=tmp_path / "none", images="*.nii", labels="*.seg"))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("{", "not a MONAI datalist"),
        ("[]", "not a MONAI datalist"),
        ('{"training": [{"image": "a.nii"}]}', "not a MONAI datalist"),
        ('{"training": [{"image": "../a.nii", "label": "b.nii"}]}', "outside the data root"),
        ('{"training": [{"image": "a.nii", "label": "b.nii"}]}', "no such file, but the datalist names it"),
        ('{"validation": []}', "no training cases"),
    ],
)
def test_a_wrong_datalist(tmp_path: Path, content: str, words: str) -> None:
    (tmp_path / "d.json").write_text(content)
    with pytest.raises(DataError, match=words):
        load_cases(DataSource(root=tmp_path, datalist="d.json"))


def test_datalist_order_is_kept(tmp_path: Path) -> None:
    touch(tmp_path, *(f"{k}{n}.nii" for k in "il" for n in range(3)))
    entries = [{"image": f"i{n}.nii", "label": f"l{n}.nii"} for n in (2, 0, 1)]
    (tmp_path / "d.json").write_text(json.dumps({"training": entries[:2], "testing": entries[2:]}))
    cases = load_cases(DataSource(root=tmp_path, datalist="d.json"))
    assert [case.image.name for case in cases["training"]] == ["i2.nii", "i0.nii"]
    assert [case.image.name for case in cases["testing"]] == ["i1.nii"]


def test_split_is_a_partition_by_seed() -> None:
    cases = [Case(f"{n:02d}", Path(), Path()) for n in range(10)]
    one, again, other = (split_cases(cases, 0.2, 0.3, seed) for seed in (0, 0, 1))
    assert {name: len(part) for name, part in one.items()} == {"training": 5, "validation": 2, "testing": 3}
    assert sorted(case.name for part in one.values() for case in part) == [case.name for case in cases]
    assert one == again != other


def test_a_datalist_elsewhere_with_labels_below_their_own_root(tmp_path: Path) -> None:
    images, prepared = tmp_path / "images", tmp_path / "prepared"
    touch(images, "a.nii")
    touch(prepared, "labels/a.nii")
    entry = {"image": "a.nii", "label": "labels/a.nii", "patient": "p7"}
    (prepared / "d.json").write_text(json.dumps({"training": [entry]}))
    source = DataSource(root=images, label_root=prepared, datalist=str(prepared / "d.json"))
    assert load_cases(source)["training"] == [Case("a.nii", images / "a.nii", prepared / "labels/a.nii", "p7")]
    entry["label"] = "../images/a.nii"
    (prepared / "d.json").write_text(json.dumps({"training": [entry]}))
    with pytest.raises(DataError, match=f"outside the data root {prepared}"):
        load_cases(source)
    with pytest.raises(DataError, match="no such folder") as error:
        load_cases(source.model_copy(update={"label_root": tmp_path / "none"}))
    assert "data.label_root" in error.value.remedy


def test_the_patient_is_optional(tmp_path: Path) -> None:
    touch(tmp_path, "a.nii", "b.nii")
    (tmp_path / "d.json").write_text(json.dumps({"training": [{"image": "a.nii", "label": "b.nii"}]}))
    assert load_cases(DataSource(root=tmp_path, datalist="d.json"))["training"][0].patient is None


@pytest.mark.parametrize("patient", [["a"], {}, 1.5, True], ids=str)
def test_a_patient_that_is_no_name_is_refused(tmp_path: Path, patient: Any) -> None:
    entry = {"image": "a.nii", "label": "b.nii", "patient": patient}
    (tmp_path / "datalist.json").write_text(json.dumps({"training": [entry]}))
    with pytest.raises(DataError, match="is not a MONAI datalist"):
        load_cases(DataSource(root=tmp_path, datalist="datalist.json"))


@pytest.mark.parametrize("name", ["a\0b", "\ud800", "x" * 5000, "y/" * 5000], ids=["null", "surrogate", "long", "deep"])
def test_a_name_that_no_file_can_have_is_missing(tmp_path: Path, name: str) -> None:
    (tmp_path / "datalist.json").write_text(json.dumps({"training": [{"image": name, "label": "b.nii"}]}))
    with pytest.raises(DataError, match="no file can have this name") as error:
        load_cases(DataSource(root=tmp_path, datalist="datalist.json"))
    assert len(str(error.value)) < 1000


@pytest.mark.parametrize("content", ["[" * 100_000, '{"training": ' + "9" * 5000 + "}"], ids=["deep", "digits"])
def test_a_datalist_of_odd_json_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "datalist.json").write_text(content)
    with pytest.raises(DataError, match="is not a MONAI datalist"):
        load_cases(DataSource(root=tmp_path, datalist="datalist.json"))
