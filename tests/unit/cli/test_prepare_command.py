"""``flareseg data prepare`` as a user types it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from command_line import Done, flareseg
from flareseg.cli.data import app
from flareseg.errors import FlaresegError
from layouts import write_amos, write_lits, write_patterns


def prepare(*arguments: object) -> Done:
    return flareseg("data", "prepare", *arguments)


def test_what_comes_out_is_shown_and_written(tmp_path: Path) -> None:
    write_amos(tmp_path / "amos", ct=12, mr=4)
    done = prepare("amos", tmp_path / "amos", tmp_path / "out", "--ratio", "1:2", "--seed", 3, "--map", "liver=liver")
    assert done.returncode == 0, done.stderr
    assert "16/16" in done.stdout
    assert "Next: flareseg data check" in done.stdout
    sites = {name: yaml.safe_load((tmp_path / "out" / name / "site.yaml").read_text()) for name in ("ct", "mr")}
    assert sites["ct"]["modality"] == "CT"
    assert sites["mr"]["labels"]["kidney_left"] == [3]
    training = {
        name: json.loads(Path(site["data"]["datalist"]).read_text())["training"] for name, site in sites.items()
    }
    assert (len(training["mr"]), len(training["ct"])) == (2, 4)
    assert training["mr"][0]["patient"].startswith("amos_05")


def test_patterns_folds_and_patients(tmp_path: Path) -> None:
    write_patterns(tmp_path / "ours", count=12)
    patterns = ("--images", "img/*.nii.gz", "--labels", "seg/*-label.nii.gz", "--modality", "MR")
    wanted = ("--map", "liver=3", "--map", "spleen=7", "--patients", r"^(p\d+)_", "--folds", 3, "--fold", 2)
    done = prepare("patterns", tmp_path / "ours", tmp_path / "out", *patterns, *wanted)
    assert done.returncode == 0, done.stderr
    datalist = json.loads((tmp_path / "out" / "datalist.json").read_text())
    assert len(datalist["testing"]) == 2
    assert len({entry["patient"] for part in datalist.values() for entry in part}) == 6


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("lits", "lits", "out", "--ratio", "one to two"), "expected MR:CT"),
        (("lits", "lits", "out", "--folds", "3"), "give folds and fold together"),
        (("lits", "lits", "out", "--fraction", "1.5"), "fraction"),
        (("lits", "lits", "out", "--task", "none.yaml"), "none.yaml: no such file"),
        (("lits", "lits", "lits/out"), "lies in the source"),
        (("msd", "lits", "out"), "expected dataset.json"),
    ],
)
def test_what_cannot_be_is_said(tmp_path: Path, arguments: tuple[str, ...], words: str) -> None:
    write_lits(tmp_path / "lits")
    layout, source, folder, *options = arguments
    done = CliRunner().invoke(app, ["prepare", layout, str(tmp_path / source), str(tmp_path / folder), *options])
    assert isinstance(done.exception, FlaresegError)
    assert words in str(done.exception)
    assert not list(tmp_path.rglob("site.yaml"))


def test_wrong_input_is_one_message_and_exit_code_2(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    done = prepare("lits", tmp_path / "empty", tmp_path / "out")
    assert done.returncode == 2
    assert "expected volume-N.nii.gz with segmentation-N.nii.gz; found nothing" in done.stderr
    assert "Traceback" not in done.stdout + done.stderr
