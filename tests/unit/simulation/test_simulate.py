"""A simulated job: complete, the same again, the same as plain code, and each arm."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from command_line import flareseg
from federation import REPOSITORY, SITES, tiny_changes, tiny_sites
from flareseg.aggregation import ServerMomentum
from flareseg.config.site import load_site
from flareseg.config.task import Task
from flareseg.data.site_data import SiteData
from flareseg.errors import FlaresegError, SettingsError
from flareseg.job.folder import stage_job
from flareseg.learning.learner import Learner
from flareseg.networks import initial_state
from flareseg.record.model_file import load_model
from flareseg.report import load_record
from flareseg.simulation.places import sites_below
from flareseg.simulation.run import Simulated, simulate
from plain_round import plain_round

JOB = REPOSITORY / "jobs" / "fedgin-fedgs"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("simulation")
    tiny_sites(folder / "data")
    stage_job(JOB, folder / "job", tiny_changes())
    return folder


def run(place: Path, name: str, **options: Any) -> Simulated:
    files = sites_below(place / "data")
    return simulate(place / "job", files, place / name, cache=place / "cache", **options)


@pytest.fixture(scope="module")
def federated(place: Path) -> Simulated:
    return run(place, "federated")


def test_the_run_is_complete_and_its_record_is_read_again(place: Path, federated: Simulated) -> None:
    record = load_record(place / "federated")
    assert (record.status, record.reason) == ("complete", "")
    assert [(item.round, item.accepted) for item in record.rounds] == [(0, sorted(SITES)), (1, sorted(SITES))]
    assert record.modalities == SITES
    assert {"last", "best"} <= set(record.evaluation.validation)
    assert record == federated.record


def test_the_model_is_the_one_that_plain_code_gives(place: Path, federated: Simulated) -> None:
    task = Task.model_validate(federated.record.task)
    state, momentum = initial_state(task), ServerMomentum(task.aggregation.server_momentum)
    learners = [
        Learner(task, SiteData(task, load_site(path), place / "other" / name), name)
        for name, path in sites_below(place / "data").items()
    ]
    for number in range(task.training.rounds):
        state = plain_round(task, state, [learner.train(state, number) for learner in learners], momentum)
    model, about = load_model(place / "federated" / "flareseg" / "last.pt")
    assert about["rounds_done"] == task.training.rounds
    assert all(torch.equal(model[name], value) for name, value in state.items())


def test_means_are_those_of_the_cases(federated: Simulated) -> None:
    for site, cases in federated.cases.items():
        told = federated.record.evaluation.testing[site].dice["liver"]
        assert told.volumes == len(cases)
        assert told.mean == pytest.approx(sum(case.dice["liver"] for case in cases) / len(cases))


def test_a_site_alone_is_scored_everywhere(place: Path, federated: Simulated) -> None:
    record = run(place, "alone", train=("mr-a",)).record
    assert record.status == "complete"
    assert [item.accepted for item in record.rounds] == [["mr-a"], ["mr-a"]]
    assert set(record.evaluation.testing) == set(SITES)
    assert set(record.evaluation.validation["last"]) == {"mr-a"}
    assert record.evaluation.testing != federated.record.evaluation.testing


def test_pooled_data_is_one_place(place: Path) -> None:
    record = run(place, "pooled", pooled=True).record
    assert record.status == "complete"
    assert [item.accepted for item in record.rounds] == [["pooled"], ["pooled"]]
    assert record.evaluation.validation["last"]["pooled"].dice["liver"].volumes == len(SITES)
    assert set(record.evaluation.testing) == set(SITES)


def test_updates_that_a_server_would_refuse_are_refused(place: Path, tmp_path: Path) -> None:
    job = stage_job(JOB, tmp_path / "job", [*tiny_changes(), "optimizer={name: adamw, lr: 100}"])
    with pytest.raises(FlaresegError, match=r"Round 0: 0 updates accepted, 2 needed \(ct-a refused: its norm should"):
        simulate(job, sites_below(place / "data"), tmp_path / "run", cache=place / "cache")


def test_scopes_that_only_a_site_can_apply_are_refused(place: Path) -> None:
    with pytest.raises(SettingsError, match="asks for the privacy scope encrypted"):
        simulate(REPOSITORY / "jobs" / "fedgs-encrypted", sites_below(place / "data"), place / "refused")
    assert not (place / "refused").exists()


def test_own_values_need_every_site_to_train(place: Path, tmp_path: Path) -> None:
    job = stage_job(JOB, tmp_path / "job", [*tiny_changes(), "local_parameters=['model.0*']"])
    with pytest.raises(SettingsError, match="values that each site trains itself"):
        simulate(job, sites_below(place / "data"), tmp_path / "run", train=("mr-a",), cache=place / "cache")


def test_the_command(place: Path, tmp_path: Path) -> None:
    changes = [part for change in tiny_changes() for part in ("--set", change)]
    done = flareseg(
        "simulate",
        JOB,
        "--data",
        place / "data",
        "--sites",
        "ct-a,mr-a",
        "--arm",
        "local",
        "--workspace",
        tmp_path / "run",
        *changes,
    )
    assert done.returncode == 0, done.stderr
    assert "mr-a alone" in done.stdout
    assert load_record(tmp_path / "run" / "result" / "fedgin-fedgs-local-mr-a").status == "complete"
    wrong = flareseg("simulate", JOB, "--data", place / "data", "--sites", "ct-z", "--workspace", tmp_path / "wrong")
    assert wrong.returncode == 2
    assert "no site ct-z" in wrong.stderr
