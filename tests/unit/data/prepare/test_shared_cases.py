"""The generators of ``../shared/cases``: inputs out of bug reports, each says what is expected of it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any
from unittest.mock import patch

import nibabel as nib
import numpy as np
import pytest
import yaml
from typer.testing import CliRunner

from flareseg.cli.console import console
from flareseg.cli.data import app
from flareseg.errors import FlaresegError
from shared_cases import Generate

pytestmark = pytest.mark.shared_data

LESIONS = {
    "name": "lesions",
    "labels": ["liver", "lesion"],
    "modalities": {"CT": {"window": [-160, 240]}, "MR": {"percentiles": [0.5, 99.5]}},
    "patch": [64, 64],
    "lesion": {"label": "lesion", "small_mm": 20},
}


def flareseg(*arguments: object, code: int) -> str:
    """Call ``flareseg data`` here, as ``main`` does; no table is too wide for its lines."""
    with patch.object(console, "_width", 250), patch.object(console, "_height", 100):
        done = CliRunner().invoke(app, list(map(str, arguments)))
    said = done.output
    if isinstance(done.exception, FlaresegError):
        assert code == 2, done.exception
        said += str(done.exception)
    else:
        assert done.exit_code == code, (said, done.exception)
    return " ".join(said.split())


def on_a_plain_terminal(*arguments: object, code: int = 0) -> str:
    """Call it as a user whose terminal shows ASCII alone."""
    command = [str(Path(sys.executable).parent / "flareseg"), "data", *map(str, arguments)]
    environment = {**os.environ, "COLUMNS": "250", "LC_ALL": "C", "PYTHONIOENCODING": "ascii"}
    done = subprocess.run(command, capture_output=True, env=environment)
    said = (done.stdout + done.stderr).decode("ascii")
    assert done.returncode == code, said
    return " ".join(said.split())


def site_of(folder: Path) -> dict[str, Any]:
    return dict(yaml.safe_load((folder / "site.yaml").read_text()))


def cases_of(folder: Path) -> int:
    return sum(map(len, json.loads((folder / "datalist.json").read_text()).values()))


@pytest.mark.parametrize("word", ["no", "off", "0", "false", "No", "1_0", "true"])
def test_05_a_label_value_is_a_number_from_1(generate: Generate, word: str) -> None:
    assert "liver" in flareseg("check", generate("05", word), code=2)


def test_06_a_key_twice(generate: Generate) -> None:
    assert "the key 'liver' is given twice" in flareseg("check", generate("06"), code=2)


@pytest.mark.parametrize("name", ["07", "12"])
def test_07_12_masks_lie_on_their_slices(generate: Generate, tmp_path: Path, name: str) -> None:
    flareseg("prepare", "chaos", generate(name), tmp_path / "out", code=0)
    for path in (tmp_path / "out/images").iterdir():
        image, label = (
            np.asarray(nib.load(path).dataobj),
            np.asarray(nib.load(tmp_path / "out/labels" / path.name).dataobj),
        )
        assert label.any()
        assert np.median(image[label == 1]) == pytest.approx(110, abs=5)
        assert np.mean(np.abs(image[label == 1] - 110) < 45) > 0.99


def test_08_organs_that_overlap(generate: Generate, tmp_path: Path) -> None:
    said = flareseg("prepare", "totalsegmentator", source := generate("08"), tmp_path / "out", code=0)
    assert "hold voxels that are kidney_left and spleen" in said
    values = site_of(tmp_path / "out")["labels"]
    for case in sorted(source.iterdir()):
        merged = nib.load(tmp_path / f"out/labels/{case.name}.nii.gz").dataobj
        for organ in ("liver", "spleen", "kidney_left", "kidney_right"):
            truth = np.asarray(nib.load(case / f"segmentations/{organ}.nii.gz").dataobj) > 0
            np.testing.assert_array_equal(np.isin(merged, values[organ]), truth)


def test_15_a_name_that_is_not_utf_8(generate: Generate, tmp_path: Path) -> None:
    folder = generate("15")
    source = Path(os.fsdecode(os.fsencode(folder) + b"/M\xfcnchen"))
    assert "Next: flareseg data check" in on_a_plain_terminal("prepare", "lits", source, tmp_path / "out")
    assert cases_of(tmp_path / "out") == 6
    # The generator's cases have no tumour, which the check says: an error of the data, and none of the name.
    said = on_a_plain_terminal("check", tmp_path / "out/site.yaml", "--html", tmp_path / "page.html", code=2)
    assert "6 cases: 1 errors" in said
    assert "tumour: 2 occurs in none of 6 cases" in said
    assert "Page: " in said


def test_17_a_volume_that_is_there_twice(generate: Generate, tmp_path: Path) -> None:
    assert "is there twice" in flareseg("prepare", "lits", generate("17"), tmp_path / "out", code=2)


def test_18_subjects_without_any_organ(generate: Generate, tmp_path: Path) -> None:
    source = generate("18")
    said = flareseg("prepare", "totalsegmentator", source, tmp_path / "out", code=0)
    assert "2 cases hold none of the labels (s0000, s0004)" in said
    flags = ("--except", "s0000", "--except", "s0004")
    flareseg("prepare", "totalsegmentator", source, tmp_path / "out", *flags, code=0)
    assert cases_of(tmp_path / "out") == 6


@pytest.mark.parametrize("word", ["Background", "BACKGROUND"])
def test_22_background_in_capitals(generate: Generate, tmp_path: Path, word: str) -> None:
    flareseg("prepare", "nnunet", generate("22", word), tmp_path / "out", code=0)
    assert site_of(tmp_path / "out")["labels"] == {"liver": [1, 2], "tumor": [2]}


@pytest.mark.parametrize(("mixed", "words"), [("no", "Leave --window away"), ("mixed", "Prepare the two kinds apart")])
def test_24_32_a_window_on_hu(generate: Generate, tmp_path: Path, mixed: str, words: str) -> None:
    source = generate("24", mixed)
    window = ("--window", "-160", "240")
    assert words in flareseg("prepare", "lits", source, tmp_path / "out", *window, code=2)
    said = flareseg("prepare", "lits", source, tmp_path / "out", code=0)
    assert ("3 of 6 CT images are of 8 bits" in said) is (mixed == "mixed")
    assert "intensity" not in site_of(tmp_path / "out")


def test_28_slices_without_a_slope(generate: Generate, tmp_path: Path) -> None:
    said = flareseg("prepare", "chaos", generate("28"), tmp_path / "out", code=2)
    assert "3 of 12 slices have no RescaleSlope" in said


def test_31_one_label_off(generate: Generate, tmp_path: Path) -> None:
    source = generate("31")
    said = flareseg("prepare", "lits", source, tmp_path / "out", code=2)
    assert "1 of 7 cases cannot be prepared: volume-53" in said
    assert "--except 'volume-53'" in said
    flareseg("prepare", "lits", source, tmp_path / "out", "--except", "volume-53", code=0)
    assert cases_of(tmp_path / "out") == 6


def test_34_a_cyst_of_the_kidney_is_no_lesion_of_the_liver(generate: Generate, tmp_path: Path) -> None:
    (tmp_path / "task.yaml").write_text(yaml.safe_dump(LESIONS))
    source = generate("34")
    said = flareseg("prepare", "totalsegmentator", source, tmp_path / "out", "--task", tmp_path / "task.yaml", code=0)
    assert site_of(tmp_path / "out")["labels"] == {"liver": [5], "lesion": None}
    assert "lesion: not annotated" in said
    assert "liver: liver 5" in said
