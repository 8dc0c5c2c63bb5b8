"""Each reader lists the cases of a small data set of its true layout, and refuses one that is not."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from flareseg.data.prepare.layouts import LAYOUTS
from flareseg.data.prepare.layouts.source import Given, OrganFiles, SliceMasks
from flareseg.errors import DataError
from layouts import (
    WRITERS,
    write_amos,
    write_chaos,
    write_lits,
    write_msd,
    write_nnunet,
    write_patterns,
    write_polypgen,
    write_totalsegmentator,
)

PATTERNS = Given(modality="CT", images="img/*.nii.gz", labels="seg/*-label.nii.gz")


def given_for(layout: str) -> Given:
    return PATTERNS if layout == "patterns" else Given()


def test_a_reader_s_module_names_it() -> None:
    for name in LAYOUTS.own:
        assert LAYOUTS.load(name).__module__ == f"flareseg.data.prepare.layouts.{name}"


def listed(layout: str, source: Path) -> list[tuple[str, str, str, str]]:
    found = LAYOUTS.load(layout)(source, given_for(layout))
    return [(case.name, case.patient, case.site, case.modality) for case in found.cases]


def test_lits(tmp_path: Path) -> None:
    source = write_lits(tmp_path, 11)
    assert listed("lits", source)[0] == ("volume-0", "0", "ct", "CT")
    found = LAYOUTS.load("lits")(source, Given())
    assert [case.patient for case in found.cases] == [str(number) for number in range(11)]
    assert found.values["ct"] == {"liver": (1,), "tumour": (2,)}
    assert found.cases[3].label == source / "Training Batch 2" / "segmentation-3.nii"


def test_msd(tmp_path: Path) -> None:
    assert listed("msd", write_msd(tmp_path)) == [(f"liver_{n}", f"liver_{n}", "ct", "CT") for n in range(4)]
    assert LAYOUTS.load("msd")(tmp_path, Given()).values["ct"] == {"liver": (1,), "cancer": (2,)}


def test_amos_has_ct_and_mr_and_in_mr_fewer_organs(tmp_path: Path) -> None:
    assert listed("amos", write_amos(tmp_path, 2, 2)) == [
        ("amos_0001", "amos_0001", "ct", "CT"),
        ("amos_0507", "amos_0507", "mr", "MR"),
        ("amos_0002", "amos_0002", "ct", "CT"),
        ("amos_0508", "amos_0508", "mr", "MR"),
    ]
    values = LAYOUTS.load("amos")(tmp_path, Given()).values
    assert values["ct"]["liver"] == values["mr"]["liver"] == (6,)
    assert set(values["ct"]) - set(values["mr"]) == {"bladder", "prostate/uterus"}


def test_totalsegmentator_numbers_the_organs_of_each_modality(tmp_path: Path) -> None:
    assert listed("totalsegmentator", write_totalsegmentator(tmp_path, 1, 1)) == [
        ("s0000", "s0000", "ct", "CT"),
        ("s0001", "s0001", "mr", "MR"),
    ]
    found = LAYOUTS.load("totalsegmentator")(tmp_path, Given())
    assert found.values["ct"] == {"kidney_left": (1,), "kidney_right": (2,), "liver": (3,), "pancreas": (4,)}
    assert found.values["mr"] == {"kidney_left": (1,), "kidney_right": (2,), "liver": (3,)}
    assert isinstance(found.cases[0].label, OrganFiles)


def test_chaos_knows_the_patient_of_each_sequence(tmp_path: Path) -> None:
    found = LAYOUTS.load("chaos")(write_chaos(tmp_path, ct=1, mr=1) / "Train_Sets", Given())
    assert [(case.name, case.patient, case.modality) for case in found.cases] == [
        ("CT-1", "CT-1", "CT"),
        ("MR-1-T1DUAL-InPhase", "MR-1", "MR"),
        ("MR-1-T1DUAL-OutPhase", "MR-1", "MR"),
        ("MR-1-T2SPIR", "MR-1", "MR"),
    ]
    assert all(isinstance(case.label, SliceMasks) for case in found.cases)
    assert set(found.values["ct"]) == {"liver"}
    one = LAYOUTS.load("chaos")(tmp_path / "Train_Sets" / "CT" / "1", Given())
    assert [case.name for case in one.cases] == ["1"]


def test_polypgen_knows_some_examinations(tmp_path: Path) -> None:
    cases = listed("polypgen", write_polypgen(tmp_path, count=3))
    assert cases[0] == ("C1-0OLCV1_100H0000", "C1-0", "c1", "RGB")
    assert cases[1][1] == "C1-0"
    assert cases[3] == ("C2-EndoCV2021_200000", "C2-EndoCV2021_200000", "c2", "RGB")
    assert {case[2] for case in cases} == {"c1", "c2", "c4", "c6"}


def test_nnunet(tmp_path: Path) -> None:
    assert listed("nnunet", write_nnunet(tmp_path, 1)) == [("kits_000", "kits_000", "ct", "CT")]
    assert LAYOUTS.load("nnunet")(tmp_path, Given()).values["ct"] == {"kidney": (1, 2), "tumor": (2,)}


def test_nnunet_may_list_its_files(tmp_path: Path) -> None:
    source = write_nnunet(tmp_path)
    content = json.loads((source / "dataset.json").read_text())
    content["dataset"] = {"a": {"images": ["imagesTr/kits_002_0000.nii.gz"], "label": "labelsTr/kits_002.nii.gz"}}
    (source / "dataset.json").write_text(json.dumps(content))
    assert listed("nnunet", source) == [("a", "a", "ct", "CT")]


def test_patterns(tmp_path: Path) -> None:
    assert [case[0] for case in listed("patterns", write_patterns(tmp_path, 2))] == ["p0_study0", "p0_study1"]


@pytest.mark.parametrize("layout", LAYOUTS.own)
def test_another_folder_is_refused(tmp_path: Path, layout: str) -> None:
    (tmp_path / "holiday.jpg").touch()
    with pytest.raises(DataError, match=str(tmp_path)) as error:
        LAYOUTS.load(layout)(tmp_path, given_for(layout))
    assert layout == "patterns" or "found holiday.jpg" in error.value.message
    assert error.value.remedy


LONELY: list[tuple[str, str, str]] = [
    ("lits", "Training Batch 1/segmentation-2.nii", "volume-2.nii: has no segmentation"),
    ("lits", "Training Batch 1/volume-2.nii", "segmentation-2.nii: has no volume"),
    ("msd", "labelsTr/liver_1.nii.gz", "imagesTr/liver_1.nii.gz: has no label"),
    ("msd", "imagesTr/liver_1.nii.gz", "labelsTr/liver_1.nii.gz: has no image"),
    ("amos", "labelsTr/amos_0002.nii.gz", "imagesTr/amos_0002.nii.gz: has no label"),
    ("amos", "imagesTr/amos_0002.nii.gz", "labelsTr/amos_0002.nii.gz: has no image"),
    ("totalsegmentator", "s0001/segmentations", "ct.nii.gz: has no segmentations"),
    ("totalsegmentator", "s0001/ct.nii.gz", "segmentations: has no image"),
    ("chaos", "Train_Sets/CT/1/Ground", "DICOM_anon: has no masks"),
    ("polypgen", "data_C1/masks_C1/0OLCV1_100H0001_mask.png", "0OLCV1_100H0001.jpg: has no mask"),
    ("polypgen", "data_C1/images_C1/0OLCV1_100H0001.jpg", "0OLCV1_100H0001_mask.png: has no image"),
    ("nnunet", "labelsTr/kits_001.nii.gz", "kits_001_0000.nii.gz: has no label"),
    ("nnunet", "imagesTr/kits_001_0000.nii.gz", "labelsTr/kits_001.nii.gz: has no image"),
    ("patterns", "seg/p0_study1-label.nii.gz", "p0_study1.nii.gz: has no label"),
    ("patterns", "img/p0_study1.nii.gz", "p0_study1-label.nii.gz: has no image"),
]


@pytest.mark.parametrize(("layout", "gone", "words"), LONELY)
def test_an_image_without_label_or_a_label_without_image(tmp_path: Path, layout: str, gone: str, words: str) -> None:
    source = WRITERS[layout](tmp_path)
    shutil.rmtree(source / gone) if (source / gone).is_dir() else (source / gone).unlink()
    found = LAYOUTS.load(layout)(source, given_for(layout))
    (bad,) = found.bad
    assert words in bad.error.message
    assert found.cases
    assert bad.name not in {case.name for case in found.cases}


SPOILED: list[tuple[str, dict[str, object], str]] = [
    ("msd", {"modality": {"0": "T2", "1": "ADC"}}, "expected one modality"),
    ("msd", {"modality": {"0": "PET"}}, "does not tell the modality"),
    ("msd", {"labels": {"background": 0, "liver": 1}}, "expected labels as"),
    ("msd", {"training": []}, 'expected "training"'),
    ("msd", {"training": ["a"]}, "expected training cases as"),
    ("msd", {"labels": 3}, 'expected an object with "labels"'),
    ("nnunet", {"channel_names": {"0": "CT", "1": "PET"}}, "expected one channel"),
    ("nnunet", {"channel_names": {"0": "noNorm"}}, "does not tell the modality"),
    ("nnunet", {"file_ending": ".nrrd"}, "expected file_ending"),
    ("nnunet", {"labels": {"background": 0, "liver": 1, "ignore": 2}}, "labels.ignore"),
    ("nnunet", {"labels": {"background": 0, "liver": "1"}}, "labels.liver"),
    ("nnunet", {"dataset": {"a": {"images": ["x", "y"], "label": "z"}}}, "dataset.a: expected one image"),
]


@pytest.mark.parametrize(("layout", "change", "words"), SPOILED)
def test_a_description_that_cannot_be_used(tmp_path: Path, layout: str, change: dict[str, object], words: str) -> None:
    path = WRITERS[layout](tmp_path) / "dataset.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(DataError, match=r"dataset.json|does not tell") as error:
        LAYOUTS.load(layout)(tmp_path, Given())
    assert words in error.value.message
    path.write_text("{")
    with pytest.raises(DataError, match="is not JSON"):
        LAYOUTS.load(layout)(tmp_path, Given())


def test_a_version_1_nnunet_set_is_named_as_such(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="channel_names") as error:
        LAYOUTS.load("nnunet")(write_msd(tmp_path), Given())
    assert "layout msd" in error.value.remedy
