"""Experiments: planned, run, gone on with, and reported."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from command_line import flareseg
from federation import REPOSITORY, tiny_changes, tiny_sites
from flareseg.errors import SettingsError
from flareseg.experiment.plan import Experiment, load_experiment
from flareseg.experiment.report import ExperimentReport
from flareseg.experiment.result import CaseResult, load_cell
from flareseg.experiment.run import stage_cell
from flareseg.experiment.statistics import estimate
from flareseg.job.folder import load_job
from flareseg.learning.metrics import CaseScores

FILES = sorted((REPOSITORY / "experiments").glob("*.yaml"))


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("experiment")
    content: dict[str, Any] = {
        "name": "tiny",
        "question": "Does it run?",
        "set": [*tiny_changes(), "fedgs=null"],
        "data": {"three": {"folder": str(tiny_sites(folder / "data"))}},
        "arms": {"fedavg": {}, "pooled": {"pooled": True, "set": ["training.rounds=1"]}},
        "differences": [["pooled", "fedavg"]],
        "seeds": [0, 1],
    }
    content["set"] = [change for change in content["set"] if not change.startswith("fedgs={")]
    content["arms"]["pooled"]["set"] = ["training={rounds: 1, steps: 3, batch_size: 2}"]
    path = folder / "tiny.yaml"
    path.write_text(yaml.safe_dump(content))
    return path


def run(plan: Path, *options: str) -> tuple[int, str]:
    done = flareseg(
        "experiment", "run", plan, "--results", plan.parent / "results", "--workspace", plan.parent / "work", *options
    )
    return done.returncode, done.stdout + done.stderr


def test_runs_what_is_missing_and_reports(plan: Path, tmp_path: Path) -> None:
    code, said = run(plan, "--seeds", "0")
    assert code == 0, said
    assert "0 of 2 runs are there" in said
    results = plan.parent / "results" / "tiny"
    first = results / "three.fedavg.0.json"
    before = first.read_bytes()
    cell = load_cell(first)
    assert {site: len(cases) for site, cases in cell.cases.items()} == {"ct-a": 1, "ct-b": 1, "mr-a": 1}
    (results / "three.pooled.0.json").unlink()
    code, said = run(plan)
    assert code == 0, said
    assert "1 of 4 runs are there" in said
    assert first.read_bytes() == before
    done = flareseg("experiment", "report", plan, "--results", results.parent, "--output", tmp_path)
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "tiny.html").read_text()
    assert "pooled − fedavg" in page
    assert "http" not in page
    assert "three,CT,organs,difference,pooled − fedavg," in (tmp_path / "tiny.csv").read_text()


def test_other_settings_are_another_run(plan: Path) -> None:
    run(plan, "--seeds", "0")
    content = yaml.safe_load(plan.read_text())
    content["arms"]["pooled"]["set"] = ["training={rounds: 1, steps: 2, batch_size: 2}"]
    other = plan.with_name("other.yaml")
    other.write_text(yaml.safe_dump(content))
    code, said = run(other, "--seeds", "0")
    assert code == 0, said
    assert "1 of 2 runs are there" in said


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_the_experiments_are_plans_whose_arms_can_be_staged(path: Path, tmp_path: Path) -> None:
    experiment = load_experiment(path)
    assert experiment.name == path.stem
    tasks = [load_job(stage_cell(experiment, cell, tmp_path))[1] for cell in experiment.cells()]
    assert {task.training.seed for task in tasks} == set(experiment.seeds)


def test_committed_results_are_of_their_plans() -> None:
    for path in FILES:
        experiment = load_experiment(path)
        names = {cell.file for cell in experiment.cells()}
        found = sorted((path.parent / "results" / experiment.name).glob("*.json"))
        assert {file.name for file in found} <= names
        if found:
            assert ExperimentReport.of(experiment, path.parent / "results").rows


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"differences": [["a", "z"]]}, "differences should name arms, z are not"),
        ({"data": {"x": {}}}, "give either embedded sites or a folder"),
        ({"seeds": []}, "seeds: expected a list of at least 1"),
    ],
)
def test_a_wrong_plan_is_refused(tmp_path: Path, change: dict[str, Any], words: str) -> None:
    content = {"name": "x", "question": "?", "data": {"x": {"folder": "y"}}, "arms": {"a": {}}} | change
    path = tmp_path / "x.yaml"
    path.write_text(yaml.safe_dump(content))
    with pytest.raises(SettingsError, match=words):
        load_experiment(path)


def test_a_damaged_result_names_its_file(tmp_path: Path) -> None:
    path = tmp_path / "cell.json"
    path.write_text(json.dumps({"seed": 0}))
    with pytest.raises(SettingsError, match=r"cell\.json: is no result"):
        load_cell(path)


def test_an_interval_covers_what_it_should() -> None:
    """Of 200 experiments without effect about one in twenty finds one; the few seeds and cases make it some more."""
    rng = np.random.default_rng(0)
    wrong = 0
    for _ in range(200):
        seeds, cases = rng.normal(0, 0.05, (5, 1)), rng.normal(0, 0.1, (1, 20))
        found = estimate(seeds + cases + rng.normal(0, 0.05, (5, 20)))
        assert found is not None
        assert found.low <= found.mean <= found.high
        wrong += not found.low <= 0 <= found.high
    assert wrong < 30


def test_an_estimate_leaves_out_cases_without_a_score() -> None:
    found = estimate(np.array([[0.2, np.nan, 0.4], [0.4, np.nan, 0.6]]))
    assert found is not None
    assert (found.mean, found.cases, found.seeds) == (pytest.approx(0.4), 2, 2)
    assert estimate(np.full((2, 3), np.nan)) is None
    assert estimate(np.empty((0, 0))) is None


def test_a_case_is_kept_as_json_numbers() -> None:
    case = CaseResult.of(CaseScores({"liver": 0.12345678, "lesion": float("nan")}, float("nan"), 0.5, 1.0))
    assert case.model_dump() == {"dice": {"liver": 0.123457, "lesion": None}, "small": None, "large": 0.5}


def test_a_plan_is_run_seed_by_seed() -> None:
    plan = Experiment.model_validate(
        {"name": "x", "question": "?", "data": {"d": {"folder": "y"}}, "arms": {"a": {}, "b": {}}, "seeds": [0, 1]}
    )
    assert [cell.file for cell in plan.cells()] == ["d.a.0.json", "d.b.0.json", "d.a.1.json", "d.b.1.json"]
