from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from itertools import chain
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import yaml
from scipy import ndimage

from flareseg.data.components import equivalent_diameters, label_components
from flareseg.data.phantom import DEFAULT_SITES, PHANTOM_VERSION, PhantomSite, case_rng, make_case, write_phantom_site
from flareseg.data.phantom.anatomy import draw_anatomy
from flareseg.data.phantom.canvas import Tissue
from flareseg.data.phantom.case import LABELS
from flareseg.data.phantom.grid import PhantomGrid, smooth_field
from flareseg.data.phantom.lesions import GAP_MM, LesionPlan, add_lesions

SITE = PhantomSite("ct-t", "CT", training=2, validation=1, testing=1)
CASES = 10


@pytest.fixture(scope="module")
def cases():
    return {modality: [make_case(3, "stats", i, modality) for i in range(CASES)] for modality in ("CT", "MR")}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_phantom_site(tmp_path_factory.mktemp("phantom"), SITE, seed=7)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


# --- one case ---


@pytest.mark.parametrize("modality", ["CT", "MR"])
def test_same_arguments_give_same_case(modality):
    for first, second in zip(make_case(1, "a", 4, modality), make_case(1, "a", 4, modality), strict=True):
        np.testing.assert_array_equal(first, second)


def test_other_seed_site_or_index_gives_another_patient():
    labels = [make_case(*arguments, "CT")[1] for arguments in [(1, "a", 4), (2, "a", 4), (1, "b", 4), (1, "a", 5)]]
    for other in labels[1:]:
        assert (labels[0] != other).mean() > 0.01


def test_case_is_independent_of_process_and_hash_seed():
    code = (
        "import hashlib; from flareseg.data.phantom import make_case;"
        "print(hashlib.sha256(b''.join(a.tobytes() for a in make_case(1, 'ct-ä', 2, 'CT'))).hexdigest())"
    )
    paths = os.pathsep.join(p for p in sys.path if p)
    digests = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": paths},
            check=True,
            capture_output=True,
        ).stdout
        for hash_seed in ("1", "2")
    }
    assert len(digests) == 1


def test_case_rng_is_stable():
    # Integers only: the same on every machine and numpy version (NEP 19 keeps bit generators' streams).
    assert case_rng(0, "ct-a", 0).bit_generator.random_raw() == 3982198149416631352
    assert case_rng(0, "ct-a", 1).bit_generator.random_raw() != 3982198149416631352


def test_unknown_modality_is_refused():
    with pytest.raises(ValueError, match=r"modality should be one of .*got 'PET'"):
        make_case(0, "a", 0, "PET")  # type: ignore[arg-type]


@pytest.mark.parametrize("modality", ["CT", "MR"])
def test_types_and_labels(cases, modality):
    for image, labels, affine in cases[modality]:
        assert image.dtype == np.int16
        assert labels.dtype == np.uint8
        assert image.shape == labels.shape
        assert set(np.unique(labels)) | {5} == {0, 1, 2, 3, 4, 5}
        assert nib.orientations.aff2axcodes(affine) == ("R", "A", "S")


@pytest.mark.parametrize("modality", ["CT", "MR"])
def test_organ_volumes_and_places(cases, modality):
    #          ml, smallest and largest (organs may be cut by the field of view)
    expected = {"liver": (500, 2500), "spleen": (40, 500), "kidneys": (120, 600)}
    for _, labels, affine in cases[modality]:
        voxel = abs(np.linalg.det(affine[:3, :3])) / 1000
        for name, (low, high) in expected.items():
            assert low < np.isin(labels, LABELS[name]).sum() * voxel < high, name
        middle = {value: (affine @ [*ndimage.center_of_mass(labels == value), 1])[:3] for value in (1, 2, 3, 4)}
        assert middle[2][0] < middle[1][0]  # spleen on the left, liver on the right
        assert middle[3][0] < middle[4][0]  # left kidney to the left
        assert middle[3][1] < middle[1][1]  # kidneys behind the liver


@pytest.mark.parametrize("modality", ["CT", "MR"])
def test_organs_are_not_scattered(cases, modality):
    for _, labels, _ in cases[modality]:
        for values in LABELS["liver"], [LABELS["spleen"]]:
            parts, count = ndimage.label(np.isin(labels, values))
            sizes = np.bincount(parts.ravel())[1:]
            assert sizes.max() / sizes.sum() > 0.93, count


def test_scans_vary_in_spacing(cases):
    for modality, (plane, through) in {"CT": (2.5, 4.0), "MR": (2.5, 5.0)}.items():
        spacings = np.array([np.diag(affine)[:3] for _, _, affine in cases[modality]])
        assert len(np.unique(spacings[:, 2])) > 1
        np.testing.assert_allclose(spacings, np.broadcast_to([plane, plane, through], spacings.shape), rtol=0.05)


# --- lesions ---


def test_lesions_lie_inside_the_liver():
    for index in range(8):
        rng = case_rng(5, "lesions", index)
        grid = PhantomGrid((144, 112, 32), (2.5, 2.5, 4.0))
        canvas = draw_anatomy(grid, rng)
        before = canvas.tissue.copy()
        lesions = add_lesions(canvas.tissue, grid, rng, LesionPlan())
        inside = canvas.tissue == Tissue.LESION
        assert np.isin(before[inside], (Tissue.LIVER, Tissue.HEPATIC_VESSEL)).all()
        np.testing.assert_array_equal(before[~inside], canvas.tissue[~inside])
        parts, count = ndimage.label(inside, np.ones((3, 3, 3)))
        assert count == len(lesions)
        assert 5 <= count <= 12
        for lesion in lesions:  # each is one part, of the size it was drawn with
            at = tuple(np.rint((np.array(lesion.centre) + grid.extent) / grid.spacing).astype(int))
            volume = (parts == parts[at]).sum() * 25.0
            drawn = np.pi / 6 * lesion.diameter**3
            assert parts[at] > 0
            assert abs(volume - drawn) <= max(30.0, 0.35 * drawn)


@pytest.mark.parametrize("modality", ["CT", "MR"])
def test_lesion_diameters(cases, modality):
    for _, labels, affine in cases[modality]:
        voxel = abs(np.linalg.det(affine[:3, :3]))
        parts, count = ndimage.label(labels == 5, np.ones((3, 3, 3)))
        diameters = np.cbrt(np.bincount(parts.ravel())[1:] * voxel * 6 / np.pi)
        assert 5 <= count <= 12
        assert (diameters > 3.0).all()  # the one voxel that the smallest always get
        assert (diameters < 42.0).all()


def test_lesion_distribution():
    rng, plan = np.random.default_rng(0), LesionPlan(count=(4, 7), diameter=(5.0, 30.0))
    patients = [plan.draw(rng) for _ in range(2000)]
    diameters = np.concatenate(patients)
    assert {len(patient) for patient in patients} == {4, 5, 6, 7}
    assert all(patient == sorted(patient, reverse=True) for patient in patients)
    assert 5.0 <= diameters.min() < 5.1
    assert 29 < diameters.max() <= 30.0
    assert 0.5 < (diameters < np.sqrt(5 * 30)).mean() < 0.6  # the middle of the logarithms, bent towards the small end
    assert np.linalg.norm([2.6, 2.6, 5.2]) < GAP_MM


def test_the_default_sites_differ_in_the_size_of_their_lesions():
    """FedGS's premise: one site has small lesions, another the voxels of lesions in large ones."""
    rng = np.random.default_rng(0)
    share = {}
    for site in DEFAULT_SITES:
        diameters = np.concatenate([site.lesions.draw(rng) for _ in range(500)])
        share[site.name] = (diameters[diameters < 20] ** 3).sum() / (diameters**3).sum()
    assert share["ct-a"] > 0.95
    assert share["ct-b"] < 0.25
    assert 0.05 < share["mr-a"] < 0.4


def test_map_without_liver_gets_no_lesion():
    tissue = np.full((8, 8, 8), Tissue.FAT, dtype=np.uint8)
    assert add_lesions(tissue, PhantomGrid(tissue.shape, (2.5, 2.5, 4.0)), np.random.default_rng(1), LesionPlan()) == []
    assert (tissue == Tissue.FAT).all()


# --- appearance ---


def median(image, labels, *values):
    return float(np.median(image[np.isin(labels, values)]))


def test_ct_is_in_hounsfield_units(cases):
    for image, labels, _ in cases["CT"]:
        assert -1024 <= image.min() < -950
        assert 250 < image.max() <= 3071
        assert -1010 < median(image[:4, :4], labels[:4, :4], 0) < -990  # air in the corner
        for values in (1,), (2,), (3, 4):
            assert 15 < median(image, labels, *values) < 260


@pytest.mark.parametrize("modality", ["CT", "MR"])
def test_lesion_contrast(cases, modality):
    seen = 0
    for image, labels, _ in cases[modality]:
        core = ndimage.binary_erosion(labels == 5)  # away from the partial volume of the rim
        if core.sum() < 10:
            continue
        seen += 1
        lesion, liver = np.median(image[core]), median(image, labels, 1)
        if modality == "CT":
            assert 15 < liver - lesion < 70
        else:
            assert 1.3 < lesion / liver < 3.5
    assert seen >= 2


def test_mr_is_no_monotonic_map_of_ct(cases):
    """One patient under both scanners: the order of the tissues differs, whatever the scan."""
    air, fluidlike = [], []
    for (ct, labels, _), (mr, mr_labels, _) in zip(cases["CT"], cases["MR"], strict=True):
        assert mr.min() >= 0
        core, mr_core = (ndimage.binary_erosion(lab == 5) for lab in (labels, mr_labels))
        if core.sum() >= 10 and mr_core.sum() >= 10:
            fluidlike.append(
                np.median(ct[core]) < median(ct, labels, 1) and np.median(mr[mr_core]) > 1.2 * median(mr, mr_labels, 1)
            )
        # In CT the liver is at least half as bright above water as the spleen; in MR it is always clearly darker.
        air.append(median(mr, mr_labels, 1) / median(mr, mr_labels, 2))
    assert fluidlike
    assert all(fluidlike)
    assert max(air) < 0.8
    brighter_ct = [median(i, lab, 1) > 0.8 * median(i, lab, 2) for i, lab, _ in cases["CT"]]
    assert any(brighter_ct)


def test_scans_vary(cases):
    """The same organ looks different from scan to scan, in CT and in MR."""
    assert np.ptp([median(i, lab, 3, 4) for i, lab, _ in cases["CT"]]) > 30
    gains = [median(i, lab, 2) for i, lab, _ in cases["MR"]]
    assert max(gains) / min(gains) > 1.5


def test_smooth_field_is_smooth_and_standardised():
    grid = PhantomGrid((60, 50, 40), (2.0, 2.0, 4.0))
    field = smooth_field(grid, 20.0, np.random.default_rng(0))
    assert field.shape == grid.shape
    assert field.dtype == np.float32
    assert 0.8 < field.std() < 1.2
    assert np.abs(np.diff(field, axis=0)).mean() < 0.2


# --- on disk ---


def test_headers(folder):
    for path in sorted(folder.glob("*/*.nii.gz")):
        volume = nib.load(path)
        index = int(path.name[5:8])
        expected = make_case(7, SITE.name, index, "CT")
        array = expected[0] if path.parent.name == "images" else expected[1]
        np.testing.assert_array_equal(np.asarray(volume.dataobj), array)
        assert volume.get_data_dtype() == array.dtype
        np.testing.assert_allclose(volume.affine, expected[2], atol=1e-4)
        np.testing.assert_allclose(volume.header.get_zooms(), np.diag(expected[2])[:3], rtol=1e-6)
        assert volume.header.get_xyzt_units()[0] == "mm"
        assert int(volume.header["qform_code"]) == int(volume.header["sform_code"]) == 1
        np.testing.assert_allclose(volume.get_qform(), volume.get_sform(), atol=1e-4)


def test_descriptions(folder):
    datalist = json.loads((folder / "datalist.json").read_text())
    assert {split: len(entries) for split, entries in datalist.items()} == {
        "training": 2,
        "validation": 1,
        "testing": 1,
    }
    assert datalist["training"][0] == {"image": "images/case-000.nii.gz", "label": "labels/case-000.nii.gz"}
    for entry in chain.from_iterable(datalist.values()):
        assert (folder / entry["image"]).is_file()
        assert (folder / entry["label"]).is_file()
    assert yaml.safe_load((folder / "site.yaml").read_text()) == {
        "modality": "CT",
        "data": {"root": str(folder), "datalist": "datalist.json"},
        "labels": {"liver": [1, 5], "spleen": 2, "kidneys": [3, 4], "lesion": 5},
    }
    assert json.loads((folder / "phantom.json").read_text()) == {
        "version": PHANTOM_VERSION,
        "seed": 7,
        "site": "ct-t",
        "modality": "CT",
        "counts": {"training": 2, "validation": 1, "testing": 1},
        "lesions": {"count": [5, 12], "diameter": [6.0, 40.0]},
    }
    assert {p.name for p in folder.iterdir()} == {"images", "labels", "datalist.json", "site.yaml", "phantom.json"}


def test_rewrite_is_identical_and_independent_of_counts_and_sites(folder, tmp_path):
    calls = []
    write_phantom_site(tmp_path, PhantomSite("other", "MR", 1, 0, 0), seed=7)
    more = write_phantom_site(tmp_path, replace(SITE, training=3, testing=2), seed=7, progress=lambda: calls.append(1))
    assert len(calls) == 6
    before, after = contents(folder), contents(more)
    volumes = [name for name in before if name.endswith(".nii.gz")]
    assert len(volumes) == 8
    assert all(before[name] == after[name] for name in volumes)


def test_complete_site_is_left_alone(folder, monkeypatch):
    monkeypatch.setattr("flareseg.data.phantom.write.make_case", None)
    times = {p: p.stat().st_mtime_ns for p in folder.rglob("*")}
    assert write_phantom_site(folder.parent, SITE, seed=7) == folder
    assert {p: p.stat().st_mtime_ns for p in folder.rglob("*")} == times


def test_deleted_file_comes_back(folder):
    before = contents(folder)
    (folder / "labels" / "case-001.nii.gz").unlink()
    write_phantom_site(folder.parent, SITE, seed=7)
    assert contents(folder) == before


def test_interrupted_run_is_resumed_and_not_mixed(folder, tmp_path):
    def interrupt() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_phantom_site(tmp_path, SITE, seed=7, progress=interrupt)
    mine = tmp_path / SITE.name
    assert not (mine / "phantom.json").exists()
    with pytest.raises(ValueError, match="holds other data"):
        write_phantom_site(tmp_path, SITE, seed=8)
    write_phantom_site(tmp_path, SITE, seed=7)
    here, there = contents(mine), contents(folder)
    assert here.keys() == there.keys()
    assert {name for name in here if here[name] != there[name]} == {"site.yaml"}  # it names its own folder


@pytest.mark.parametrize(
    ("site", "seed"),
    [
        (SITE, 8),
        (replace(SITE, training=3), 7),
        (replace(SITE, modality="MR"), 7),
        (replace(SITE, lesions=LesionPlan(count=(1, 2))), 7),
    ],
)
def test_other_settings_are_refused(folder, site, seed):
    before = contents(folder)
    with pytest.raises(ValueError, match=r"(?s)ct-t holds other data: found .* expected .*Remove the folder"):
        write_phantom_site(folder.parent, site, seed=seed)
    assert contents(folder) == before


def test_other_version_is_refused(folder, monkeypatch):
    monkeypatch.setattr("flareseg.data.phantom.write.PHANTOM_VERSION", PHANTOM_VERSION + 1)
    with pytest.raises(ValueError, match="holds other data"):
        write_phantom_site(folder.parent, SITE, seed=7)


def test_foreign_folder_is_refused(tmp_path):
    (tmp_path / SITE.name).mkdir()
    (tmp_path / SITE.name / "notes.txt").write_text("mine")
    with pytest.raises(ValueError, match="files without a record"):
        write_phantom_site(tmp_path, SITE, seed=7)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": "../up"}, "plain folder name"),
        ({"modality": "PET"}, "should be CT or MR, got 'PET'"),
        ({"testing": 201}, "testing of site ct-t should be in 0 to 200, got 201"),
        ({"training": -1}, "got -1"),
    ],
)
def test_impossible_sites_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        replace(SITE, **changes)


def test_default_sites_make_mr_scarce():
    def total(modality: str, split: str) -> int:
        return sum(getattr(site, split) for site in DEFAULT_SITES if site.modality == modality)

    assert (total("CT", "training"), total("MR", "training")) == (12, 4)
    assert min(total("CT", "testing"), total("MR", "testing")) >= 8


@pytest.mark.slow
@pytest.mark.parametrize("site", DEFAULT_SITES, ids=lambda site: site.name)
def test_the_manual_counts_the_lesions_of_each_split(site):
    found = {split: np.zeros(3, int) for split in ("training", "validation", "testing")}
    for split, index in site.cases():
        _, labels, affine = make_case(0, site.name, index, site.modality, lesions=site.lesions)
        parts, voxels = label_components(labels == 5)
        small = equivalent_diameters(voxels, np.diag(affine)[:3], parts.shape) < 20
        found[split] += [1, small.sum(), (~small).sum()]
    manual = (Path(__file__).parents[3] / "docs/data.md").read_text()
    for split, counts in found.items():
        assert " | ".join([f"| {site.name} | {site.modality} | {split}", *map(str, counts)]) + " |" in manual
