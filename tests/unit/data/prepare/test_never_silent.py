"""Sources that were once prepared into wrong training data without a word, or refused though they were right."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import yaml
from pydicom import dcmread
from pydicom.dataset import FileDataset

from flareseg.config.task import Task
from flareseg.data.prepare.order import Order
from flareseg.data.prepare.run import prepare
from flareseg.data.prepare.splits import SplitPlan
from flareseg.data.prepare.write_site import PreparedSite
from flareseg.errors import DataError, SettingsError
from layouts import (
    SHAPE,
    WRITERS,
    chaos_label,
    label_of,
    save,
    write_chaos,
    write_lits,
    write_masks,
    write_nnunet,
    write_series,
    write_totalsegmentator,
)

ALL = SplitPlan(validation=0, testing=0)


def run(layout: Any, source: Path, folder: Path, **more: Any) -> PreparedSite:
    (site,) = prepare(Order(layout, source, folder, **{"plan": ALL, **more}), lambda done, total: None)
    return site


def names(folder: Path) -> list[str]:
    listed = json.loads((folder / "datalist.json").read_text())
    return [Path(entry["image"]).name.split(".")[0] for part in listed.values() for entry in part]


def labels_in(folder: Path) -> dict[str, Any]:
    return dict(yaml.safe_load((folder / "site.yaml").read_text())["labels"])


@pytest.fixture
def task_of(task_content: dict[str, Any]) -> Callable[..., Task]:
    def make(*labels: str, lesion: str | None = None) -> Task:
        about = {"label": lesion, "small_mm": 20} if lesion else None
        modalities = {"CT": {"window": [-160, 240]}, "MR": {"percentiles": [0.5, 99.5]}}
        changes = {"labels": list(labels), "modalities": modalities, "lesion": about, "fedgs": None}
        return Task.model_validate(task_content | changes)

    return make


# Masks find their slices by number, never by their place in a list.


def chaos_ct(folder: Path, slice_name: Callable[[int], str], mask_name: Callable[[int], str], **more: Any) -> Path:
    """One CT of 12 slices whose liver climbs by a voxel in each: no mask fits any slice but its own."""
    label = np.zeros((20, 18, 12), dtype=np.uint8)
    for height in range(12):
        label[2 + height : 6 + height, 3:13, height] = 1
    case = folder / "CT" / "1"
    write_series(case / "DICOM_anon", 1000 + 60 * label.astype(np.uint16), name=slice_name, **more)
    write_masks(case / "Ground", label * 255, mask_name)
    return folder


def assert_masks_lie_on_the_liver(folder: Path) -> None:
    image, label = (np.asarray(nib.load(folder / part / "CT-1.nii.gz").dataobj) for part in ("images", "labels"))
    np.testing.assert_array_equal(image == 60, label == 1)


@pytest.mark.parametrize(
    ("slice_name", "mask_name"),
    [
        (lambda n: f"{n + 1}.dcm", lambda n: f"{n + 1}.png"),
        (lambda n: f"{n + 1}.dcm", lambda n: f"liver_{n + 1:03d}.PNG"),
        (lambda n: f"i{n:04d},0000b.dcm", lambda n: f"liver_GT_{n:03d}.png"),
        (lambda n: f"IMG-0002-{n + 1:05d}.dcm", lambda n: f"liver_GT_{n:03d}.png"),  # from 1 and from 0
        (lambda n: f"1.2.840.{(n * 7) % 12}.dcm", lambda n: f"{n + 1}.png"),  # by InstanceNumber
        (lambda n: f"x{'abcdefghijkl'[n]}", lambda n: f"{n + 1}.png"),
    ],
    ids=["not padded", "capital ending", "from zero", "from one and zero", "names in disorder", "no numbers"],
)
def test_a_mask_lies_on_its_slice(tmp_path: Path, slice_name: Any, mask_name: Any) -> None:
    source = chaos_ct(tmp_path / "source", slice_name, mask_name)
    for name in ("Thumbs.db", ".DS_Store", "._1.dcm", "desktop.ini"):
        (source / "CT/1/DICOM_anon" / name).write_bytes(b"\0\5\26\7")
    (source / "CT/1/Ground/._1.png").write_bytes(b"\0\5\26\7")
    run("chaos", source, tmp_path / "dest")
    assert_masks_lie_on_the_liver(tmp_path / "dest")


@pytest.mark.parametrize("first", [0, 1])
def test_the_first_slice_and_the_last_mask_missing(tmp_path: Path, first: int) -> None:
    source = chaos_ct(tmp_path / "source", lambda n: f"{n + first}.dcm", lambda n: f"{n + first}.png")
    (source / f"CT/1/DICOM_anon/{first}.dcm").unlink()
    (source / f"CT/1/Ground/{11 + first}.png").unlink()
    with pytest.raises(DataError, match="the first or the last may be missing"):
        run("chaos", source, tmp_path / "dest")


@pytest.mark.parametrize(
    ("mask_name", "words"),
    [
        (lambda n: "abcdefghijkl"[n] + ".png", "do not tell their slices"),
        (lambda n: f"{n % 6}-{n // 6}.png", "do not tell their slices"),
        (lambda n: ["1.png", "01.png"][n] if n < 2 else f"{n}.png", "do not tell their slices"),
    ],
    ids=["no numbers", "two numbers", "a number twice"],
)
def test_masks_whose_slice_cannot_be_told(tmp_path: Path, mask_name: Any, words: str) -> None:
    source = chaos_ct(tmp_path / "source", lambda n: f"{n + 1}.dcm", mask_name)
    with pytest.raises(DataError, match=words):
        run("chaos", source, tmp_path / "dest")


def test_masks_of_the_other_echo_find_their_slices_in_space(tmp_path: Path) -> None:
    """CHAOS numbers both echoes in turn, and the masks as the first of them."""
    label = chaos_label()
    folder = tmp_path / "source" / "MR" / "1" / "T1DUAL"
    for start, echo in ((1, "OutPhase"), (2, "InPhase")):
        write_series(
            folder / "DICOM_anon" / echo,
            100 + 60 * label.astype(np.uint16) + start,
            modality="MR",
            intercept=0.0,
            name=lambda n, start=start: f"IMG-0004-{2 * n + start:05d}.dcm",
            spoil=lambda n, part, start=start: setattr(part, "InstanceNumber", 2 * n + start),
        )
    write_masks(folder / "Ground", label * 63, lambda n: f"IMG-0004-{2 * n + 2:05d}.png")
    run("chaos", tmp_path / "source", tmp_path / "dest")
    for echo in ("InPhase", "OutPhase"):
        written = nib.load(tmp_path / "dest/labels" / f"MR-1-T1DUAL-{echo}.nii.gz")
        np.testing.assert_array_equal(written.dataobj, label)


# Two files that would be one image or one label.


def second_volume(source: Path) -> str:
    save(source / "small" / "volume-2.nii.gz", label_of([1]))
    return "volume-2"


def second_segmentation(source: Path) -> str:
    save(source / "segmentation-2.NII", label_of([1]))
    return "volume-2"


def ct_twice(source: Path) -> str:
    save(source / "s0001" / "ct.nii", label_of([1]))
    return "s0001"


def organ_twice(source: Path) -> str:
    save(source / "s0001/segmentations/liver.nii", label_of([1]))
    return "s0001"


def frame_twice(source: Path) -> str:
    (source / "data_C2/images_C2/EndoCV2021_200001.png").write_bytes(b"x")
    return "C2-EndoCV2021_200001"


def mask_twice(source: Path) -> str:
    (source / "data_C2/masks_C2/EndoCV2021_200001.png").write_bytes(b"x")
    return "C2-EndoCV2021_200001"


def image_twice(source: Path) -> str:
    save(source / "imagesTr" / "kits_001_0000.NII.gz", label_of([1]))
    return "kits_001"


def listed_twice(source: Path) -> str:
    content = json.loads((source / "dataset.json").read_text())
    content["training"].append(content["training"][1])
    (source / "dataset.json").write_text(json.dumps(content))
    return "liver_1"


@pytest.mark.parametrize(
    ("layout", "spoil"),
    [
        ("lits", second_volume),
        ("lits", second_segmentation),
        ("totalsegmentator", ct_twice),
        ("totalsegmentator", organ_twice),
        ("polypgen", frame_twice),
        ("polypgen", mask_twice),
        ("nnunet", image_twice),
        ("msd", listed_twice),
    ],
)
def test_a_file_that_is_there_twice(tmp_path: Path, layout: Any, spoil: Callable[[Path], str]) -> None:
    source = WRITERS[layout](tmp_path / "source")
    name = spoil(source)
    with pytest.raises(DataError, match=rf"1 of .* cannot be prepared: {name}: .*is there twice") as error:
        prepare(Order(layout, source, tmp_path / "dest"), lambda done, total: None)
    assert f"--except '{name}'" in error.value.remedy
    prepare(Order(layout, source, tmp_path / "dest", without=[name]), lambda done, total: None)


@pytest.mark.parametrize("layout", ["lits", "totalsegmentator", "amos", "nnunet", "polypgen"])
def test_endings_in_capitals_are_not_dropped(tmp_path: Path, layout: Any) -> None:
    source = WRITERS[layout](tmp_path / "source")
    before = len(list(prepare_names(layout, source, tmp_path / "before")))
    for path in source.rglob("*"):
        if path.is_file() and path.suffix != ".json":
            path.rename(path.with_name(path.name.replace(".nii", ".NII").replace(".gz", ".GZ").replace(".png", ".PNG")))
    assert len(list(prepare_names(layout, source, tmp_path / "after"))) == before > 2


def prepare_names(layout: Any, source: Path, folder: Path) -> list[str]:
    prepare(Order(layout, source, folder), lambda done, total: None)
    return [name for path in folder.rglob("datalist.json") for name in names(path.parent)]


# Bad cases: all are named at once, and --except leaves them out.


def test_all_bad_cases_are_named_and_can_be_left_out(tmp_path: Path) -> None:
    source, dest = write_lits(tmp_path / "source"), tmp_path / "dest"
    (source / "Training Batch 1/segmentation-2.nii").unlink()
    turned = np.diag([1.0, 1, 1, 1])
    save(source / "Training Batch 2/segmentation-3.nii", label_of([1]), turned)
    (source / "Training Batch 1/volume-4.nii").write_bytes(b"\0" * 100)
    with pytest.raises(DataError, match="3 of 6 cases cannot be prepared") as error:
        run("lits", source, dest)
    for words in ("volume-2: ", "has no segmentation", "volume-3: ", "expected the image's spacing", "volume-4: "):
        assert words in error.value.message
    assert "--except 'volume-2' --except 'volume-3' --except 'volume-4'" in error.value.remedy
    assert not list(tmp_path.rglob("site.yaml"))
    run("lits", source, dest, without=["volume-2", "volume-[34]"])
    assert sorted(names(dest)) == ["volume-0", "volume-1", "volume-5"]


def test_a_bad_series_does_not_keep_the_others_from_being_converted(tmp_path: Path) -> None:
    source, dest = write_chaos(tmp_path / "source", ct=3, mr=0), tmp_path / "dest"
    (source / "Train_Sets/CT/2/Ground/liver_GT_003.png").unlink()
    with pytest.raises(DataError, match=r"1 of 3 cases cannot be prepared: Train_Sets-CT-2: .*4 masks for 5 slices"):
        run("chaos", source, dest)
    assert len(list((dest / "images").iterdir())) == 2
    run("chaos", source, dest, without=["*-2"])
    assert len(names(dest)) == 2


def test_an_exception_that_leaves_nothing_out_is_a_slip(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="--except volume-99: none of the 6 cases"):
        run("lits", write_lits(tmp_path / "source"), tmp_path / "dest", without=["volume-99"])


# Organs that overlap: a voxel of two organs is both.


def overlapping(folder: Path) -> Path:
    source = write_totalsegmentator(folder, 3, 0)
    spleen = np.zeros(SHAPE, dtype=np.uint8)
    spleen[4:12, 3:13, 2] = 1  # within the left kidney, the right kidney and the liver
    for number in range(3):
        save(source / f"s{number:04d}/segmentations/spleen.nii.gz", spleen * (number > 0))
    return source


def mask_of(site: PreparedSite, case: str, label: str) -> np.ndarray:
    values = labels_in(site.site_file.parent)[label]
    return np.isin(nib.load(site.site_file.parent / f"labels/{case}.nii.gz").dataobj, values)


@pytest.mark.parametrize("with_task", [False, True])
def test_a_voxel_of_two_organs_counts_for_each(tmp_path: Path, with_task: bool, task_of: Callable[..., Task]) -> None:
    source = overlapping(tmp_path / "source")
    task = task_of("kidneys", "spleen") if with_task else None
    site = run("totalsegmentator", source, tmp_path / "dest", task=task)
    organs = {name: (name,) for name in ("liver", "spleen", "kidney_left", "kidney_right", "pancreas")}
    for label, parts in (
        {"kidneys": ("kidney_left", "kidney_right"), "spleen": ("spleen",)} if task else organs
    ).items():
        for case in ("s0000", "s0001", "s0002"):
            truth = np.zeros(SHAPE, dtype=bool)
            for part in parts:
                truth |= np.asarray(nib.load(source / case / f"segmentations/{part}.nii.gz").dataobj) > 0
            np.testing.assert_array_equal(mask_of(site, case, label), truth, err_msg=f"{case} {label}")
    assert any("2 cases hold voxels that are kidney_left and spleen" in note for note in site.notes)
    again = {path: path.read_bytes() for path in (tmp_path / "dest").rglob("*.*") if path.is_file()}
    run("totalsegmentator", source, tmp_path / "dest", task=task)
    assert again == {path: path.read_bytes() for path in again}


def test_organs_of_one_label_may_overlap_without_a_word(tmp_path: Path, task_of: Callable[..., Task]) -> None:
    source = write_totalsegmentator(tmp_path / "source", 2, 0)
    save(source / "s0001/segmentations/kidney_left.nii.gz", (label_of([1, 2]) > 0).astype(np.uint8))
    site = run("totalsegmentator", source, tmp_path / "dest", task=task_of("kidneys"))
    assert labels_in(tmp_path / "dest") == {"kidneys": [1, 2]}
    assert site.notes == ()
    assert mask_of(site, "s0001", "kidneys").sum() == (label_of([1, 2]) > 0).sum()


def test_cases_without_any_label_are_listed(tmp_path: Path, task_of: Callable[..., Task]) -> None:
    source = write_totalsegmentator(tmp_path / "source", 0, 4)
    save(source / "s0002/segmentations/liver.nii.gz", np.zeros(SHAPE, dtype=np.uint8))
    site = run("totalsegmentator", source, tmp_path / "dest", task=task_of("liver"))
    assert any("1 cases hold none of the labels (s0002)" in note and "--except 's0002'" in note for note in site.notes)
    assert run("totalsegmentator", source, tmp_path / "dest", task=task_of("liver"), without=["s0002"]).notes == ()


# Intensities.


def lits_of(folder: Path, eight_bit: set[int], count: int = 4, stored: type = np.uint8) -> Path:
    for number in range(count):
        image = np.clip(
            label_of([1]).astype(float) * 100 + 20 + np.random.default_rng(number).normal(0, 9, SHAPE), 0, 255
        )
        image = image.astype(stored) if number in eight_bit else (image - 1000).astype(np.int16)
        save(folder / f"volume-{number}.nii.gz", image)
        save(folder / f"segmentation-{number}.nii.gz", label_of([1]))
    return folder


WINDOW = (-160.0, 240.0)


@pytest.mark.parametrize("stored", [np.uint8, np.int16], ids=["uint8", "8 bits in int16"])
def test_a_window_is_for_8_bits_and_can_be_taken_back(tmp_path: Path, stored: type) -> None:
    source, path = lits_of(tmp_path / "source", {0, 1, 2, 3}, stored=stored), tmp_path / "dest" / "site.yaml"
    if stored is np.uint8:
        assert "CT of 8 bits holds no HU" in run("lits", source, tmp_path / "dest").notes[0]
    assert run("lits", source, tmp_path / "dest", window=WINDOW).notes == ()
    assert yaml.safe_load(path.read_text())["intensity"] == {"slope": 400 / 255, "intercept": -160}
    run("lits", source, tmp_path / "dest")
    assert "intensity" not in yaml.safe_load(path.read_text())
    path.write_text(path.read_text() + "intensity: {slope: 2}\n")
    assert "kept from the earlier site.yaml: intensity" in run("lits", source, tmp_path / "dest").notes[-1]
    assert yaml.safe_load(path.read_text())["intensity"] == {"slope": 2}


@pytest.mark.parametrize(
    ("eight_bit", "window", "words"),
    [
        (set(), WINDOW, r"4 of 4 CT images hold HU, such as volume-0.*Leave --window away"),
        ({0, 1}, WINDOW, r"2 of 4 CT images hold HU, such as volume-2.*Prepare the two kinds apart"),
        ({0, 1, 2, 3}, (240.0, -160.0), "expected two rising numbers"),
    ],
)
def test_a_window_on_hu_is_refused(
    tmp_path: Path, eight_bit: set[int], window: tuple[float, float], words: str
) -> None:
    with pytest.raises(SettingsError, match=words):
        run("lits", lits_of(tmp_path / "source", eight_bit), tmp_path / "dest", window=window)
    assert not list(tmp_path.rglob("site.yaml"))


def test_a_window_is_for_ct(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="no case is CT"):
        run("totalsegmentator", write_totalsegmentator(tmp_path / "source", 0, 2), tmp_path / "dest", window=WINDOW)


def test_a_mixed_set_is_noticed_wherever_the_8_bits_are(tmp_path: Path) -> None:
    site = run("lits", lits_of(tmp_path / "source", {3}), tmp_path / "dest")
    assert "1 of 4 CT images are of 8 bits and hold no HU (volume-3)" in site.notes[0]


@pytest.mark.parametrize("tag", ["RescaleSlope", "RescaleIntercept"])
@pytest.mark.parametrize("empty", [False, True])
def test_rescale_tags_missing_in_some_slices(tmp_path: Path, tag: str, empty: bool) -> None:
    source = write_chaos(tmp_path / "source", ct=1, mr=0)
    for path in sorted((source / "Train_Sets/CT/1/DICOM_anon").iterdir())[1:3]:
        part = dcmread(path)
        if empty:
            part[tag].value = None
        else:
            del part[tag]
        part.save_as(path)
    with pytest.raises(DataError, match=f"2 of 5 slices have no {tag}"):
        run("chaos", source, tmp_path / "dest")


# Slices whose positions and directions are written with few digits.


def at(position: Callable[[int], float]) -> Callable[[int, FileDataset], None]:
    return lambda n, part: setattr(part, "ImagePositionPatient", [-30, -40, position(n)])


@pytest.mark.parametrize(
    ("position", "gap"),
    [
        (lambda n: round(1.25 * n + 1e-6, 1), 1.25),
        (lambda n: round(0.625 * n, 1), 0.625),
        (lambda n: round(5.3 * n), 5.3),
        (lambda n: round(2 / 3 * n, 2), 2 / 3),
    ],
)
def test_rounded_positions_are_a_regular_grid(tmp_path: Path, position: Callable[[int], float], gap: float) -> None:
    source = chaos_ct(tmp_path / "source", lambda n: f"{n}.dcm", lambda n: f"{n}.png", spoil=at(position))
    run("chaos", source, tmp_path / "dest")
    affine = nib.load(tmp_path / "dest/images/CT-1.nii.gz").affine
    assert abs(affine[2, 2]) == pytest.approx(gap, abs=0.1)


@pytest.mark.parametrize(
    ("position", "words"),
    [
        (lambda n: round(1.25 * (n + (n > 4)), 1), "slices are .* apart, but slices 5 and 6"),
        (lambda n: n + (n > 4), "slices are .* apart, but slices 5 and 6"),
        (lambda n: 5 * (n + (n > 4)), "slices are .* apart, but slices 5 and 6"),
    ],
)
def test_a_missing_slice_is_found_whatever_the_digits(
    tmp_path: Path, position: Callable[[int], float], words: str
) -> None:
    source = chaos_ct(tmp_path / "source", lambda n: f"{n}.dcm", lambda n: f"{n}.png", spoil=at(position))
    with pytest.raises(DataError, match=words):
        run("chaos", source, tmp_path / "dest")


def test_directions_that_differ_in_the_fourth_digit(tmp_path: Path) -> None:
    def spoil(n: int, part: FileDataset) -> None:
        part.ImageOrientationPatient = [1, 2e-4 * (n % 2), 0, -2e-4 * (n % 2), 1, 0]

    run("chaos", chaos_ct(tmp_path / "s", lambda n: f"{n}.dcm", lambda n: f"{n}.png", spoil=spoil), tmp_path / "dest")
    assert_masks_lie_on_the_liver(tmp_path / "dest")


def test_a_slice_that_is_shifted_within_its_plane(tmp_path: Path) -> None:
    def spoil(n: int, part: FileDataset) -> None:
        part.ImagePositionPatient[0] += 4 * (n == 5)

    source = chaos_ct(tmp_path / "s", lambda n: f"{n}.dcm", lambda n: f"{n}.png", spoil=spoil)
    with pytest.raises(DataError, match="slice 7 is shifted"):
        run("chaos", source, tmp_path / "dest")


# Names of labels.


@pytest.mark.parametrize("word", ["Background", "BACKGROUND", "back-ground", "bg", "Unlabeled"])
def test_background_in_whatever_spelling_is_no_organ(tmp_path: Path, word: str, task_of: Callable[..., Task]) -> None:
    source = write_nnunet(tmp_path / "source")
    content = json.loads((source / "dataset.json").read_text())
    content["labels"] = {word: 0, "liver": 1, "tumor": 2}
    (source / "dataset.json").write_text(json.dumps(content), encoding="utf-8-sig")
    site = run("nnunet", source, tmp_path / "dest", task=task_of("liver", "tumor"))
    assert labels_in(tmp_path / "dest") == {"liver": [1, 2], "tumor": [2]}
    assert dict(site.labels) == {"liver": "liver 1, tumor 2", "tumor": "tumor 2"}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"background": 0, "liver": 0}', "the label liver has the value 0"),
        ('{"background": 0, "liver": true}', "expected a number"),
        ('{"background": 0, "liver": 1, "liver": 2}', "'liver' is given twice"),
    ],
)
def test_labels_of_a_dataset_json_that_mean_nothing(tmp_path: Path, text: str, words: str) -> None:
    source = write_nnunet(tmp_path / "source")
    content = json.loads((source / "dataset.json").read_text())
    del content["labels"]
    (source / "dataset.json").write_text(json.dumps(content)[:-1] + f', "labels": {text}}}')
    with pytest.raises(DataError, match=words):
        run("nnunet", source, tmp_path / "dest")


# Names that are not UTF-8.


def test_a_folder_whose_name_is_not_utf_8(tmp_path: Path) -> None:
    source = Path(os.fsdecode(os.fsencode(tmp_path) + b"/M\xfcnchen"))
    write_lits(tmp_path / "source").rename(source)
    site = run("lits", source, tmp_path / "dest")
    assert len(names(tmp_path / "dest")) == 6
    run("lits", source, tmp_path / "dest")
    assert site.site_file.read_bytes().isascii()
