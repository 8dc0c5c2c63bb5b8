"""Every layout becomes a site whose images and labels are those of the source, and the source stays as it was."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

from flareseg.config.site import Site, load_site
from flareseg.config.task import Task
from flareseg.data.case import SPLITS, Case
from flareseg.data.datalist import load_cases
from flareseg.data.prepare import site_work as module
from flareseg.data.prepare.layouts.source import Given
from flareseg.data.prepare.order import Order
from flareseg.data.prepare.run import prepare
from flareseg.data.prepare.splits import SplitPlan
from flareseg.data.prepare.subset import Subset
from flareseg.data.preprocess import preprocess
from flareseg.errors import DataError, SettingsError
from layouts import (
    WRITERS,
    chaos_label,
    label_of,
    save,
    write_amos,
    write_chaos,
    write_lits,
    write_patterns,
    write_polypgen,
    write_totalsegmentator,
)

PATTERNS = Given(modality="CT", images="img/*.nii.gz", labels="seg/*-label.nii.gz")


def snapshot(folder: Path) -> dict[Path, tuple[bytes, int]]:
    """Content and time of every file."""
    return {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in sorted(folder.rglob("*")) if path.is_file()}


def order_for(layout: str, source: Path, folder: Path, **more: Any) -> Order:
    if layout == "patterns":
        more = {"given": PATTERNS, "maps": ("organ=3", "other=7")} | more
    return Order(layout=layout, source=source, folder=folder, **more)


def run(order: Order) -> list[Site]:
    return [load_site(site.site_file) for site in prepare(order, lambda done, total: None)]


def all_cases(site: Site) -> Iterator[Case]:
    for cases in load_cases(site.data).values():
        yield from cases


@pytest.fixture
def wide_task(task_content: dict[str, Any]) -> Task:
    modalities = {"CT": {"window": [-160, 240]}, "MR": {"percentiles": [0.5, 99.5]}}
    return Task.model_validate(
        task_content | {"labels": ["liver"], "modalities": modalities, "lesion": None, "fedgs": None}
    )


@pytest.mark.parametrize("layout", WRITERS)
def test_what_is_prepared_loads_and_the_source_is_untouched(tmp_path: Path, layout: str) -> None:
    source = WRITERS[layout](tmp_path / "source")
    before = snapshot(source)
    sites = run(order_for(layout, source, tmp_path / "dest"))
    assert snapshot(source) == before
    for site in sites:
        cases = list(all_cases(site))
        assert len(cases) > 1
        assert all(case.patient for case in cases)
        if site.modality != "RGB":
            for case in cases:
                image, label = nib.load(case.image), nib.load(case.label)
                assert image.shape == label.shape
                np.testing.assert_allclose(image.affine, label.affine)
                known = {value for values in site.labels.values() for value in values or ()}
                assert set(np.unique(label.dataobj)) - {0} <= known


@pytest.mark.parametrize("layout", ["lits", "msd", "amos", "nnunet", "patterns", "polypgen"])
def test_nothing_is_copied_where_nothing_is_due(tmp_path: Path, layout: str) -> None:
    source = WRITERS[layout](tmp_path / "source")
    for site in run(order_for(layout, source, tmp_path / "dest")):
        assert site.data.root == source
        assert site.data.label_root is None
    names = {path.name for path in (tmp_path / "dest").rglob("*") if path.is_file()}
    assert names == {"datalist.json", "site.yaml", "prepared.json"}


def test_a_modality_each_or_one_alone(tmp_path: Path) -> None:
    source = write_amos(tmp_path / "source")
    both = run(order_for("amos", source, tmp_path / "both"))
    assert [(site.modality, str(site.data.datalist)) for site in both] == [
        ("CT", str(tmp_path / "both" / "ct" / "datalist.json")),
        ("MR", str(tmp_path / "both" / "mr" / "datalist.json")),
    ]
    (one,) = run(order_for("amos", source, tmp_path / "one", given=Given(modality="MR")))
    assert one.data.datalist == str(tmp_path / "one" / "datalist.json")
    assert len(list(all_cases(one))) == 4


def test_totalsegmentator_keeps_images_and_merges_only_what_the_task_wants(tmp_path: Path, wide_task: Task) -> None:
    source = write_totalsegmentator(tmp_path / "source")
    ct, mr = run(order_for("totalsegmentator", source, tmp_path / "dest", task=wide_task))
    assert ct.labels == mr.labels == {"liver": (3,)}
    assert ct.data.root == source
    assert ct.data.label_root == tmp_path / "dest" / "ct"
    for case in all_cases(ct):
        assert case.image.is_relative_to(source)
        np.testing.assert_array_equal(nib.load(case.label).dataobj, 3 * (label_of(range(1, 5)) == 3))


def test_chaos_masks_lie_on_the_organs(tmp_path: Path, wide_task: Task) -> None:
    """The phantom's liver is 60 units above air: the label must meet it in both modalities after conversion."""
    ct, mr = run(order_for("chaos", write_chaos(tmp_path / "source"), tmp_path / "dest", task=wide_task))
    assert {case.patient for case in all_cases(mr)} == {"Train_Sets-MR-1", "Train_Sets-MR-2"}
    for site, value in ((ct, 60), (mr, 160)):
        for case in all_cases(site):
            image, label = (np.asarray(nib.load(path).dataobj) for path in (case.image, case.label))
            np.testing.assert_array_equal(image == value, label == 1)
    np.testing.assert_array_equal(label, chaos_label())
    _, masks, spacing = preprocess(case, wide_task, mr)
    assert masks.sum() == (label == 1).sum()
    np.testing.assert_allclose(spacing, (1.5, 2, 3))


def test_a_patient_is_in_one_split_also_across_modalities(tmp_path: Path) -> None:
    source = write_totalsegmentator(tmp_path / "source", ct=0, mr=12)
    for number in range(0, 12, 2):
        save(source / f"s{number:04d}" / "ct.nii.gz", label_of([1, 2, 3]) + np.uint8(number))
    ct, mr = run(order_for("totalsegmentator", source, tmp_path / "dest"))
    where: dict[str, set[str]] = {}
    for site in (ct, mr):
        for split, cases in load_cases(site.data).items():
            for case in cases:
                where.setdefault(str(case.patient), set()).add(split)
    assert len(where) == 12
    assert all(len(splits) == 1 for splits in where.values())
    assert all(load_cases(site.data)[split] for site in (ct, mr) for split in SPLITS)


def test_studies_of_a_patient_stay_together(tmp_path: Path) -> None:
    source = write_patterns(tmp_path / "source", count=12)
    (site,) = run(order_for("patterns", source, tmp_path / "dest", patients=r"^(p\d+)_"))
    by_split = {split: {case.patient for case in cases} for split, cases in load_cases(site.data).items()}
    assert sum(map(len, by_split.values())) == len(set.union(*by_split.values())) == 6


def test_the_same_image_under_two_names_is_one_patient(tmp_path: Path) -> None:
    """PolypGen's C2 and C5 hold such frames: drawn apart they would be in training and in testing."""
    source = write_lits(tmp_path / "source", count=6)
    volumes = sorted(source.rglob("volume-*.nii*"))
    volumes[4].write_bytes(volumes[1].read_bytes())
    (site,) = run(order_for("lits", source, tmp_path / "dest"))
    patients = {case.image: case.patient for case in all_cases(site)}
    assert patients[volumes[4]] == patients[volumes[1]]
    assert len(set(patients.values())) == 5


def test_lesions_are_spread_over_the_splits(tmp_path: Path) -> None:
    source = write_lits(tmp_path / "source", count=10)
    for seed in range(5):
        (site,) = run(
            order_for("lits", source, tmp_path / "dest", plan=SplitPlan(testing=0.5, validation=0, seed=seed))
        )
        large = [int(case.patient or 0) > 5 for case in load_cases(site.data)["testing"]]
        assert len(large) == 5
        assert 1 <= sum(large) <= 3


def test_folds_seed_and_subset_reach_the_datalist(tmp_path: Path) -> None:
    source = write_lits(tmp_path / "source", count=12)
    lists = []
    for fold in (1, 2, 3):
        plan = SplitPlan(folds=3, fold=fold, testing=0)
        (site,) = run(order_for("lits", source, tmp_path / "dest", plan=plan, subset=Subset(cases=4)))
        lists.append({split: {case.patient for case in cases} for split, cases in load_cases(site.data).items()})
    assert sum(len(part["validation"]) for part in lists) == len(set.union(*(p["validation"] for p in lists))) == 12
    assert all(len(part["training"]) == 4 for part in lists)


def test_the_ratio_is_of_both_sites(tmp_path: Path) -> None:
    source = write_amos(tmp_path / "source", ct=12, mr=4)
    ct, mr = run(order_for("amos", source, tmp_path / "dest", subset=Subset(ratio=(1, 2))))
    assert (len(load_cases(mr.data)["training"]), len(load_cases(ct.data)["training"])) == (2, 4)
    with pytest.raises(SettingsError, match="needs data of both"):
        run(order_for("lits", write_lits(tmp_path / "lits"), tmp_path / "other", subset=Subset(ratio=(1, 2))))


def test_centres_are_sites(tmp_path: Path) -> None:
    source = write_polypgen(tmp_path / "source")
    sites = prepare(order_for("polypgen", source, tmp_path / "all"), lambda done, total: None)
    assert [site.site_file.parent.name for site in sites] == ["c1", "c2", "c4", "c6"]
    (one,) = run(order_for("polypgen", source, tmp_path / "one", site="c2"))
    assert one.labels == {"polyp": (1, 255)}
    assert all(case.name.startswith("data_C2/") for case in all_cases(one))


def test_an_interrupted_run_goes_on_and_leaves_no_half_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source, dest = write_chaos(tmp_path / "source"), tmp_path / "dest"
    whole = tmp_path / "whole"
    run(order_for("chaos", source, whole))
    made: list[str] = []
    real = module.convert

    def convert(case: Any, *rest: Any) -> Any:
        made.append(case.name)
        if len(made) == 4:
            raise KeyboardInterrupt
        return real(case, *rest)

    monkeypatch.setattr(module, "convert", convert)
    with pytest.raises(KeyboardInterrupt):
        run(order_for("chaos", source, dest))
    assert not list(dest.rglob("site.yaml"))
    assert all(nib.load(path).get_fdata() is not None for path in dest.rglob("*.nii.gz"))
    first = made.copy()
    run(order_for("chaos", source, dest))
    assert sorted(made[len(first) :]) == sorted({*made} - {*first[:3]})
    assert len(made) == 1 + 9
    again = {path.relative_to(dest): path.read_bytes() for path in dest.rglob("*.nii.gz")}
    assert again == {path.relative_to(whole): path.read_bytes() for path in whole.rglob("*.nii.gz")}
    assert not list(dest.rglob("*.part"))


def test_a_changed_source_or_a_lost_file_is_made_anew(tmp_path: Path) -> None:
    source, dest = write_totalsegmentator(tmp_path / "source", 3, 0), tmp_path / "dest"
    run(order_for("totalsegmentator", source, dest))
    changed = label_of([1]) == 1
    changed[0, 0, 0] = True
    save(source / "s0001" / "segmentations" / "kidney_left.nii.gz", changed.astype(np.uint8))
    (dest / "labels" / "s0002.nii.gz").unlink()
    run(order_for("totalsegmentator", source, dest))
    assert nib.load(dest / "labels" / "s0001.nii.gz").dataobj[0, 0, 0] == 1
    assert (dest / "labels" / "s0002.nii.gz").is_file()


def test_an_operators_settings_stay(tmp_path: Path) -> None:
    source, dest = write_lits(tmp_path / "source"), tmp_path / "dest"
    run(order_for("lits", source, dest))
    path = dest / "site.yaml"
    path.write_text(path.read_text() + "threads: 3\n")
    (site,) = run(order_for("lits", source, dest, plan=SplitPlan(seed=1)))
    assert site.threads == 3


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"folder": "source/dest"}, "lies in the source"),
        ({"source": "none"}, "no such folder"),
        ({"only": "case-*"}, "none of 6 cases"),
        ({"given": Given(modality="MR")}, "none of 6 cases"),
        ({"maps": ("liver=heart",)}, "heart is no value"),
        ({"patients": "("}, "expected a regular expression"),
        ({"patients": "volume"}, "expected a regular expression with a group"),
        ({"patients": "(x)"}, "finds no patient in volume-0"),
        ({"plan": SplitPlan(folds=9, fold=1)}, "9 folds need as many patients"),
        ({"folder": "full"}, "holds files that flareseg data prepare did not make"),
        ({"folder": "theirs"}, "was prepared as msd"),
        ({"folder": "damaged"}, "holds a damaged prepared.json"),
    ],
)
def test_what_cannot_be_prepared(tmp_path: Path, change: dict[str, Any], words: str) -> None:
    write_lits(tmp_path / "source")
    for name, content in (("full/x", ""), ("theirs/prepared.json", '{"layout": "msd", "results": {}}')):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text(content)
    (tmp_path / "damaged").mkdir()
    (tmp_path / "damaged" / "prepared.json").write_text("{")
    change = {key: tmp_path / value if key in ("source", "folder") else value for key, value in change.items()}
    order = replace(order_for("lits", tmp_path / "source", tmp_path / "dest"), **change)
    with pytest.raises((DataError, SettingsError), match=words) as error:
        prepare(order, lambda done, total: None)
    assert error.value.remedy
    assert not list(tmp_path.rglob("site.yaml"))


def organ_missing(source: Path) -> None:
    (source / "s0001" / "segmentations" / "liver.nii.gz").unlink()


def other_grid(source: Path) -> None:
    save(source / "s0001" / "segmentations" / "liver.nii.gz", np.zeros((20, 18, 5), dtype=np.uint8), np.eye(4))


def organ_cut(source: Path) -> None:
    path = source / "s0001" / "segmentations" / "liver.nii.gz"
    path.write_bytes(path.read_bytes()[:60])


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (organ_missing, "has no segmentation of liver"),
        (other_grid, "lies on another grid"),
        (organ_cut, "liver.nii.gz: cannot be decoded"),
    ],
)
def test_organ_files_that_do_not_fit(tmp_path: Path, spoil: Any, words: str) -> None:
    source = write_totalsegmentator(tmp_path / "source")
    spoil(source)
    with pytest.raises(DataError, match=words) as error:
        run(order_for("totalsegmentator", source, tmp_path / "dest"))
    assert error.value.case == "s0001"


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda folder: (folder / "liver_GT_002.png").unlink(), "holds 4 masks for 5 slices"),
        (lambda folder: (folder / "liver_GT_002.png").write_bytes(b"x"), "liver_GT_002.png: cannot be read"),
        (lambda folder: _paint(folder / "liver_GT_002.png", (20, 18), 100), "grey value 100 means no organ"),
        (lambda folder: _paint(folder / "liver_GT_002.png", (10, 18), 255), r"expected \(20, 18\) pixels"),
    ],
)
def test_masks_that_do_not_fit_the_series(tmp_path: Path, spoil: Any, words: str) -> None:
    source = write_chaos(tmp_path / "source", ct=1, mr=0)
    spoil(source / "Train_Sets" / "CT" / "1" / "Ground")
    with pytest.raises(DataError, match=words):
        run(order_for("chaos", source, tmp_path / "dest"))


def _paint(path: Path, size: tuple[int, int], value: int) -> None:
    from PIL import Image

    Image.new("L", size, value).save(path)


def test_a_link_out_of_the_source_is_refused(tmp_path: Path) -> None:
    source = write_lits(tmp_path / "source")
    path = source / "Training Batch 1" / "volume-0.nii"
    path.rename(tmp_path / "elsewhere.nii")
    path.symlink_to(tmp_path / "elsewhere.nii")
    with pytest.raises(DataError, match="outside the data root"):
        run(order_for("lits", source, tmp_path / "dest"))


def test_the_record_tells_no_more_than_it_needs(tmp_path: Path) -> None:
    run(order_for("lits", write_lits(tmp_path / "source"), tmp_path / "dest"))
    record = json.loads((tmp_path / "dest" / "prepared.json").read_text())
    assert set(record) == {"layout", "source", "results"}
    assert set(record["results"]) == {f"lesion volume-{number}" for number in range(6)}
