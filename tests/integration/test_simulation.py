"""A simulated job gives the bits of the federation of real processes."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from federation import REPOSITORY, Federation, tiny_changes
from flareseg.job.folder import stage_job
from flareseg.record.model_file import load_model
from flareseg.simulation.places import sites_below
from flareseg.simulation.run import simulate

pytestmark = pytest.mark.slow


MOMENTUM_AND_LOCAL_VALUES = {
    "network": "{channels: [4, 8], norm: local_batch}",
    "aggregation": "{server_momentum: 0.5, wait_after_min: 20}",
}


@pytest.mark.parametrize("other", [{}, MOMENTUM_AND_LOCAL_VALUES], ids=["tiny", "momentum-and-local-values"])
def test_the_same_bits_as_the_federation(federation: Federation, tmp_path: Path, other: dict[str, str]) -> None:
    changes = dict(change.split("=", 1) for change in tiny_changes()) | other
    changes_of_task = [f"{key}={value}" for key, value in changes.items()]
    record, folder = federation.run(changes_of_task)
    staged = stage_job(REPOSITORY / "jobs" / "fedgin-fedgs", tmp_path / "job", changes_of_task)
    simulated = simulate(staged, sites_below(federation.sites), tmp_path / "run").record
    assert simulated.task_digest == record.task_digest
    for name in record.models:
        real, _ = load_model(folder / "workspace" / "flareseg" / f"{name}.pt")
        ours, _ = load_model(tmp_path / "run" / "flareseg" / f"{name}.pt")
        assert real.keys() == ours.keys()
        assert all(torch.equal(real[key], ours[key]) for key in real), name
    assert simulated.models == record.models
    assert simulated.evaluation == record.evaluation
    for mine, theirs in zip(simulated.rounds, record.rounds, strict=True):
        assert mine.steps == theirs.steps
        assert {k: v.scores for k, v in mine.sites.items()} == {k: v.scores for k, v in theirs.sites.items()}
        assert {k: v.loss for k, v in mine.sites.items()} == {k: v.loss for k, v in theirs.sites.items()}
