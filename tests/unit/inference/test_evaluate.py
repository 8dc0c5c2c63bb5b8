"""``flareseg evaluate``: the learner's own scores, of a file or of a bundle that is not run, and what may leave."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from monai.bundle import ConfigParser

from bright import write_model
from command_line import flareseg
from flareseg.config.site import load_site
from flareseg.data.datalist import load_cases
from flareseg.data.site_data import SiteData
from flareseg.export.run import Format, export_model
from flareseg.files import sha256_of
from flareseg.learning.learner import Learner
from flareseg.learning.trained import load_trained
from planted import goes_off, plant_model


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return write_model(tmp_path / "best.pt")


def bundle_of(model: Path, folder: Path) -> Path:
    export_model(load_trained(model), None, folder, Format.BUNDLE)
    return folder


def numbers_of(model: Path, site: Path, folder: Path, *options: str) -> dict[str, Any]:
    done = flareseg("evaluate", model, site, "-o", folder, *options)
    assert done.returncode == 0, done.stderr
    return dict(json.loads((folder / "scores.json").read_text()))


def change_data(site: Path, **changes: object) -> None:
    content = yaml.safe_load(site.read_text())
    content["data"] |= changes
    site.write_text(yaml.safe_dump({**content, "data": {k: v for k, v in content["data"].items() if v is not None}}))


def test_the_numbers_are_the_learner_s(model: Path, site_file: Path, tmp_path: Path) -> None:
    found = numbers_of(model, site_file, tmp_path / "out")
    trained, site = load_trained(model), load_site(site_file)
    learner = Learner(trained.task, SiteData(trained.task, site, tmp_path / "cache"), "site")
    assert found["scores"] == learner.validate(trained.network.state_dict(), "testing").as_dict()
    assert found["model_sha256"] == sha256_of(model)
    assert found["splits"] == ["testing"]
    assert found["volumes"] == len(load_cases(site.data)["testing"])


def test_what_may_be_handed_on_names_no_case_and_no_place(model: Path, site_file: Path, tmp_path: Path) -> None:
    numbers_of(model, site_file, tmp_path / "out", "--split", "all", "--name", "ward-seven")
    handed_on = (tmp_path / "out/scores.json").read_text()
    cases = [case for several in load_cases(load_site(site_file).data).values() for case in several]
    for word in ("ward-seven", "case-", str(tmp_path), *(case.image.name for case in cases)):
        assert word not in handed_on
    with (tmp_path / "out/cases.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert {row["case"] for row in rows} == {case.name for case in cases}
    means = [float(row["mean"]) for row in rows]
    assert means == sorted(means)
    expected = json.loads(handed_on)["scores"]["dice"]["liver"]["mean"]
    assert np.mean([float(row["liver"]) for row in rows]) == pytest.approx(expected, abs=1e-4)
    page = (tmp_path / "out/ward-seven.html").read_text()
    assert f"<h3>Worst: {rows[0]['case']}</h3>" in page
    assert f"<h3>Best: {rows[-1]['case']}</h3>" in page


def test_a_bundle_scores_as_the_model_that_it_was_made_of(model: Path, site_file: Path, tmp_path: Path) -> None:
    bundle = bundle_of(model, tmp_path / "bundle")
    by_file = numbers_of(model, site_file, tmp_path / "file")
    by_bundle = numbers_of(bundle, site_file, tmp_path / "by-bundle")
    assert by_bundle.pop("model_sha256") == sha256_of(bundle / "models/model.safetensors")
    del by_file["model_sha256"]
    assert by_bundle == by_file


def test_nothing_in_a_bundle_is_run(model: Path, site_file: Path, tmp_path: Path) -> None:
    bundle, marker = bundle_of(model, tmp_path / "bundle"), tmp_path / "marker"
    before = numbers_of(bundle, site_file, tmp_path / "before")
    for name in ("inference.json", "metadata.json"):
        path = bundle / "configs" / name
        traps = {
            "imports": ["$import pathlib"],
            "network": f"$pathlib.Path({str(marker)!r}).touch()",
            "inferer": {"_target_": "pathlib.Path.touch", "self": str(marker)},
        }
        path.write_text(json.dumps(json.loads(path.read_text()) | traps))
        parser = ConfigParser()
        parser.read_config(path)
        parser.get_parsed_content("network")
        assert marker.exists(), "the trap goes off where MONAI opens it"
        marker.unlink()
    for name in ("model.pt", "model.ts"):
        plant_model(bundle / "models" / name, marker)
        assert goes_off(bundle / "models" / name, marker)
    assert numbers_of(bundle, site_file, tmp_path / "after") == before
    assert not marker.exists()


def drop_about(bundle: Path) -> None:
    (bundle / "configs/flareseg.json").unlink()


def cut_weights(bundle: Path) -> None:
    path = bundle / "models/model.safetensors"
    path.write_bytes(path.read_bytes()[:-10])


def pickle_for_weights(bundle: Path) -> None:
    plant_model(bundle / "models/model.safetensors", bundle / "marker")


def expression_for_task(bundle: Path) -> None:
    path = bundle / "configs/flareseg.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"task": "$__import__('os').getcwd()"}))


def other_network(bundle: Path) -> None:
    path = bundle / "configs/flareseg.json"
    content = json.loads(path.read_text())
    content["task"]["network"]["channels"] = [8, 16]
    path.write_text(json.dumps(content))


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (drop_about, "configs/flareseg.json is missing"),
        (cut_weights, "models/model.safetensors cannot be read"),
        (pickle_for_weights, "models/model.safetensors cannot be read"),
        (expression_for_task, "its task is not one that flareseg"),
        (other_network, "its weights are not those of the network of task bright"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_bundle_that_cannot_be_used(model: Path, site_file: Path, tmp_path: Path, spoil: Any, words: str) -> None:
    bundle = bundle_of(model, tmp_path / "bundle")
    spoil(bundle)
    done = flareseg("evaluate", bundle, site_file, "-o", tmp_path / "out")
    assert done.returncode == 2
    assert words in done.stderr
    assert not (tmp_path / "out").exists()
    assert not (bundle / "marker").exists()


def test_a_site_that_only_tests_needs_no_training_cases(model: Path, site_file: Path, tmp_path: Path) -> None:
    root = site_file.parent
    entries = [{"image": f"images/case-{n}.nii.gz", "label": f"labels/case-{n}.nii.gz"} for n in range(3)]
    (root / "list.json").write_text(json.dumps({"testing": entries}))
    change_data(site_file, datalist="list.json", images=None, labels=None)
    assert numbers_of(model, site_file, tmp_path / "out", "--split", "all")["volumes"] == 3
    done = flareseg("evaluate", model, site_file, "-o", tmp_path / "none", "--split", "validation")
    assert done.returncode == 2
    assert "no validation cases" in done.stderr
    assert not (tmp_path / "none").exists()


def test_without_held_out_cases_the_remedy_names_the_option(model: Path, site_file: Path, tmp_path: Path) -> None:
    change_data(site_file, split={"validation": 0, "testing": 0})
    done = flareseg("evaluate", model, site_file, "-o", tmp_path / "out")
    assert done.returncode == 2
    assert "flareseg evaluate --split all" in done.stderr


def test_a_bad_case_is_an_error_or_counted(model: Path, site_file: Path, tmp_path: Path) -> None:
    image = load_cases(load_site(site_file).data)["testing"][0].image
    image.write_bytes(image.read_bytes()[:200])
    done = flareseg("evaluate", model, site_file, "-o", tmp_path / "out", "--split", "all")
    assert done.returncode == 2
    assert str(image) in done.stderr
    assert not (tmp_path / "out").exists()
    change_data(site_file, on_bad_case="leave_out")
    found = numbers_of(model, site_file, tmp_path / "out", "--split", "all")
    assert (found["volumes"], found["left_out"]) == (5, 1)


def test_a_site_of_another_task_is_refused(model: Path, site_file: Path, tmp_path: Path) -> None:
    content = yaml.safe_load(site_file.read_text())
    del content["labels"]["lesion"]
    site_file.write_text(yaml.safe_dump(content))
    done = flareseg("evaluate", model, site_file, "-o", tmp_path / "out")
    assert done.returncode == 2
    assert "lesion" in done.stderr
    assert not (tmp_path / "out").exists()
