"""A run whose model cannot be drawn still ends with its report, a word on each missing page, and its own exit code."""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import typer
import yaml
from typer.testing import CliRunner

from flareseg.cli.main import app
from flareseg.cli.poc import _finish
from flareseg.config.task import Task
from flareseg.networks.state import initial_state
from flareseg.poc.run import Outcome
from flareseg.poc.workspace import PocWorkspace
from flareseg.record.model_file import save_model, to_numpy
from flareseg.record.run import RunRecord
from flareseg.report.owner import model_line

Ended = Callable[[dict[str, str], bool], int]


def task_with(network: dict[str, str]) -> Task:
    content = {
        "name": "toy",
        "labels": ["liver"],
        "modalities": {"CT": {"window": [-160, 240]}, "MR": {"percentiles": [0, 100]}},
        "patch": [16, 16],
        "network": {"channels": [4, 8], **network},
    }
    return Task.model_validate(content)


def write_kit(kit: Path) -> None:
    """A site of six small volumes."""
    label = np.zeros((24, 20, 6), np.int16)
    label[4:15, 5:12, 2:5] = 1
    (kit / "local").mkdir(parents=True)
    for kind in ("image", "label"):
        (kit / kind).mkdir()
        for number in range(6):
            array = label if kind == "label" else np.float32(label * 3 + number)
            nib.save(nib.Nifti1Image(array, np.diag([2.0, 2.0, 3.0, 1.0])), kit / kind / f"{number}.nii.gz")
    data = {"root": str(kit), "images": "image/*.nii.gz", "labels": "label/*.nii.gz"}
    (kit / "local/site.yaml").write_text(yaml.safe_dump({"modality": "MR", "data": data, "labels": {"liver": 1}}))


@pytest.fixture
def ended(complete: RunRecord, tmp_path: Path) -> Ended:
    """End a run of sites ct-a, ct-b and mr-a as ``flareseg poc run`` does; the exit code."""
    workspace = PocWorkspace(tmp_path / "run")
    workspace.poc.mkdir(parents=True)
    (workspace.poc / "project.yml").write_text("name: toy\n")

    def end(network: dict[str, str], encrypted: bool) -> int:
        task = task_with(network)
        for name in complete.evaluation.testing:
            write_kit(workspace.kits / name)
        folder = workspace.folder / "result/workspace/flareseg"
        folder.mkdir(parents=True)
        (folder / "record.json").write_text(complete.model_dump_json())
        plain = to_numpy(initial_state(task))
        ciphers = {name: np.frombuffer(value.tobytes(), np.uint8).copy() for name, value in plain.items()}
        about = {"task": task.model_dump(mode="json")}
        save_model(folder / "last.pt", ciphers if encrypted else plain, about)
        if encrypted:
            own = workspace.kits / "mr-a/models" / f"{complete.job_id}.pt"
            own.parent.mkdir()
            save_model(own, plain, about)
        with pytest.raises(typer.Exit) as ending:
            _finish(workspace, Outcome("FINISHED:COMPLETED", workspace.folder / "result"))
        return ending.value.exit_code

    return end


def test_pages_are_linked(ended: Ended, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert ended({}, False) == 0
    told = capsys.readouterr().out
    assert "No page" not in told
    lines = told.splitlines()
    pages = [line.removeprefix("Images: ") for line in lines if line.startswith("Images: ")]
    assert [Path(page).is_file() for page in pages] == [True, True, True]
    assert lines.index(f"Images: {pages[0]}") > next(i for i, line in enumerate(lines) if line.startswith("Report: "))
    assert 'href="sites/mr-a/mr-a.html"' in (tmp_path / "run/report/latest/report.html").read_text()


def test_the_last_line_is_a_command_that_applies_the_model(
    ended: Ended, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ended({}, False) == 0
    line = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("Next:"))
    command = shlex.split(line.removeprefix("Next:"))[1:]
    command[command.index("predicted")] = str(tmp_path / "predicted")
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 0, done.output
    assert (tmp_path / "predicted" / Path(command[2]).name).is_file()


def test_the_model_file_is_named_with_its_digest(complete: RunRecord, tmp_path: Path) -> None:
    folder = tmp_path / "workspace/flareseg"
    folder.mkdir(parents=True)
    (folder / "record.json").write_text(complete.model_dump_json())
    assert model_line(tmp_path) == ""
    (folder / f"{complete.evaluation.winner}.pt").write_bytes(b"weights")
    digest = hashlib.sha256(b"weights").hexdigest()
    assert f"{folder / str(complete.evaluation.winner)}.pt (SHA-256 {digest})" in model_line(tmp_path)


def test_local_parameters(ended: Ended, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert ended({"norm": "local_batch"}, False) == 0
    told = capsys.readouterr().out
    for site in ("ct-a", "ct-b", "mr-a"):
        assert f"No page of {site}'s images: " in told
    assert "has parameters that stay at each site" in told
    assert (tmp_path / "run/report/latest/report.html").is_file()


def test_ciphertexts_are_shown_where_the_site_kept_what_it_decrypted(
    ended: Ended, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ended({}, True) == 0
    told = capsys.readouterr().out
    assert "No page of ct-a's images: " in told
    assert "holds ciphertexts, which only sites can read" in told
    assert "mr-a's images" not in told
    assert 'href="sites/mr-a/mr-a.html"' in (tmp_path / "run/report/latest/report.html").read_text()


def test_exit_code_is_the_run_s_own(subset: RunRecord, ended: Ended) -> None:
    assert ended({"norm": "local_batch"}, False) == 3
