"""A job in POC mode, from submission to result."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from federation import PROJECT, REPOSITORY, SITES, Federation, tiny_changes
from flareseg.aggregation import ServerMomentum
from flareseg.config.site import load_site
from flareseg.config.task import Task
from flareseg.data.site_data import SiteData
from flareseg.learning.learner import Learner
from flareseg.networks import initial_state
from flareseg.poc.run import Plan, run_job
from flareseg.poc.workspace import PocError
from flareseg.processes import processes_of
from flareseg.record.model_file import load_model
from flareseg.record.run import RunRecord
from flareseg.report import report_facts
from plain_round import plain_round


@pytest.fixture(scope="module")
def run(federation: Federation) -> tuple[RunRecord, Path]:
    """A complete run of two rounds."""
    return federation.run(tiny_changes())


def test_the_run_is_complete(run: tuple[RunRecord, Path]) -> None:
    record, _ = run
    assert (record.status, record.reason) == ("complete", "")
    assert [(item.round, item.accepted) for item in record.rounds] == [(0, sorted(SITES)), (1, sorted(SITES))]
    assert record.modalities == SITES
    assert set(record.evaluation.testing) == set(SITES)
    assert {"last", "best"} <= set(record.evaluation.validation)


def test_reported_numbers(run: tuple[RunRecord, Path]) -> None:
    facts = report_facts(run[0])
    assert facts.status == "complete"
    assert set(facts.dice) == {"CT", "MR"}
    assert facts.round_overhead_seconds is not None
    assert facts.round_overhead_seconds > 0


def test_the_model_is_the_one_that_plain_code_gives(federation: Federation, run: tuple[RunRecord, Path]) -> None:
    """NVFlare, TLS, serialisation and arrival order change no bit of the result."""
    record, folder = run
    task = Task.model_validate(record.task)
    state = initial_state(task)
    momentum = ServerMomentum(task.aggregation.server_momentum)
    learners = []
    for name in sorted(SITES, reverse=True):
        site = load_site(federation.workspace.kits / name / "local" / "site.yaml")
        data = SiteData(task, site, federation.workspace.kits / name / "cache")
        learners.append(Learner(task, data, name))
    for number in range(task.training.rounds):
        state = plain_round(task, state, [learner.train(state, number) for learner in learners], momentum)
    model, about = load_model(folder / "workspace" / "flareseg" / "last.pt")
    assert about["rounds_done"] == task.training.rounds
    for name, value in state.items():
        assert torch.equal(model[name], value), name


def test_a_rerun_gives_the_same_bytes(federation: Federation, run: tuple[RunRecord, Path]) -> None:
    again, folder = federation.run(tiny_changes())
    first, _ = load_model(run[1] / "workspace" / "flareseg" / "last.pt")
    second, _ = load_model(folder / "workspace" / "flareseg" / "last.pt")
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert again.evaluation.testing == run[0].evaluation.testing


def test_tensorboard_has_every_site_from_the_first_round(run: tuple[RunRecord, Path]) -> None:
    for site in SITES:
        events = EventAccumulator(str(run[1] / "workspace" / "tb_events" / site)).Reload()
        assert [event.step for event in events.Scalars("train/loss")] == [0, 1]
        assert "validation/val_dice" in events.Tags()["scalars"]


def test_nvflare_s_own_statistics_agree(run: tuple[RunRecord, Path]) -> None:
    text = (run[1] / "workspace" / "job_stats_run_summary.log").read_text()
    assert "SUCCESS" in text
    assert (run[1] / "workspace" / "metrics" / "metrics_summary.json").is_file()


def test_no_path_or_file_name_reaches_the_server(federation: Federation, run: tuple[RunRecord, Path]) -> None:
    planted = [str(federation.sites).encode(), b"case-0"]
    known = federation.known_to_server(run[1])
    assert any(path.name == "log.txt" for path in known)
    assert not [path for path, content in known.items() if any(word in content for word in planted)]


def test_a_second_start_is_refused_and_the_federation_goes_on(federation: Federation) -> None:
    before = {process.pid for process in processes_of(federation.workspace.poc)}
    assert len(before) >= 4
    with pytest.raises(PocError, match="runs here already"):
        run_job(
            federation.workspace,
            REPOSITORY / "jobs" / "fedavg",
            [],
            Plan(PROJECT, federation.sites),
            tell=lambda message: None,
            show=lambda status, progress: None,
        )
    assert {process.pid for process in processes_of(federation.workspace.poc)} == before
