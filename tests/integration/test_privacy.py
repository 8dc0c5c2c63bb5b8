"""Privacy scopes and the encrypted job, on real processes: what leaves a site, and what the server can read."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tenseal
import torch
from benchmarks.privacy import set_scope

from federation import REPOSITORY, SITES, Federation, tiny_changes
from flareseg.config.task import Task
from flareseg.errors import FlaresegError
from flareseg.networks import initial_state
from flareseg.poc.run import stage, submit, watch_and_download
from flareseg.privacy.budget import Budget
from flareseg.privacy.scopes import DifferentialPrivacy
from flareseg.record.model_file import load_model
from flareseg.record.run import RunRecord
from flareseg.report import load_record, report_facts

pytestmark = pytest.mark.slow


def set_scope_everywhere(federation: Federation, name: str, properties: dict[str, Any]) -> None:
    for site in SITES:
        set_scope(federation.workspace.kits / site / "local", name, properties)


def run(federation: Federation, folder: Path, job: str, scope: str, changes: list[str]) -> tuple[RunRecord, Path]:
    """Run a job of the repository under a scope."""
    copy = shutil.copytree(REPOSITORY / "jobs" / job, folder / f"{job}-{scope}", dirs_exist_ok=True)
    meta = json.loads((copy / "meta.json").read_text())
    (copy / "meta.json").write_text(json.dumps(meta | {"scope": scope}))
    job_id = submit(federation.workspace, stage(federation.workspace, copy, changes))
    result = watch_and_download(federation.workspace, job_id, lambda status, progress: None).result
    return load_record(result), result


def model(result: Path, name: str = "last") -> dict[str, torch.Tensor]:
    return load_model(result / "workspace" / "flareseg" / f"{name}.pt")[0]


def changes(**training: int) -> list[str]:
    """The small task without augmentation."""
    kept = [change for change in tiny_changes(**training) if not change.startswith("augmentation=")]
    return [*kept, "augmentation=[]"]


def test_a_clipped_update_moves_the_model_no_further_than_the_bound(federation: Federation, tmp_path: Path) -> None:
    bound = 0.01
    set_scope_everywhere(federation, "clipped", {"max_norm": bound})
    record, result = run(federation, tmp_path, "fedgs", "clipped", changes())
    assert record.status == "complete"
    for item in record.rounds:
        assert {site: told.privacy.clipped for site, told in item.sites.items() if told.privacy} == dict.fromkeys(
            SITES, True
        )
    start, end = initial_state(Task.model_validate(record.task)), model(result)
    moved = torch.cat([(end[name] - value).double().flatten() for name, value in start.items()]).norm()
    assert 0 < float(moved) <= 2 * bound * (1 + 1e-5)
    assert "clipped in 2 of 2 rounds" in federation.site_log("mr-a")


def test_a_private_job_ends_at_the_budget_and_a_second_finds_it_spent(federation: Federation, tmp_path: Path) -> None:
    steps, rate = 3, 0.5  # batches of 2 out of 4 patients
    content = {"epsilon": 8.0, "delta": 1e-5, "max_grad_norm": 1.0, "noise_multiplier": 1.5}
    fits = Budget(tmp_path / "none", DifferentialPrivacy(**content)).steps_left(rate) // steps
    assert fits >= 1
    set_scope_everywhere(federation, "dp", content)
    record, result = run(federation, tmp_path, "fedavg", "dp", [*changes(rounds=fits + 3), "fedgs=null"])
    facts = report_facts(record)
    assert (record.status, len(record.rounds)) == ("subset", fits)
    assert facts.reason.startswith(f"The training ended after {fits} rounds: the privacy budget of ct-a, ct-b, mr-a")
    assert set(record.evaluation.testing) == set(SITES)
    for site in SITES:
        told = [item.sites[site] for item in record.rounds]
        assert [item.loss for item in told] == [None] * fits
        epsilons = [item.privacy.epsilon for item in told if item.privacy and item.privacy.epsilon]
        assert epsilons == sorted(epsilons)
        assert len(epsilons) == fits
        budget = Budget(federation.workspace.kits / site / "privacy/budget.jsonl", DifferentialPrivacy(**content))
        assert budget.epsilon() == pytest.approx(epsilons[-1])
        assert budget.epsilon() <= 8.0
        assert {item.job for item in budget.spendings()} == {record.job_id}
        events = b"".join(path.read_bytes() for path in (result / "workspace/tb_events" / site).rglob("events*"))
        assert b"privacy/epsilon" in events
        assert b"train/loss" not in events
    again, _ = run(federation, tmp_path, "fedavg", "dp", [*changes(), "fedgs=null"])
    assert again.status == "failed"
    assert "BUDGET" in again.reason
    assert "privacy budget is spent" in federation.site_log("mr-a")


def test_a_scope_that_a_site_does_not_have_is_refused(federation: Federation, tmp_path: Path) -> None:
    with pytest.raises(FlaresegError, match=r"scope 'private' is not allowed"):
        run(federation, tmp_path, "fedavg", "private", changes())


# Adam divides by the gradient's size: where that is nothing but rounding, CKKS' own rounding would show in full.
SGD = "optimizer={name: sgd, lr: 0.05}"


@pytest.fixture(scope="module")
def encrypted(federation: Federation, tmp_path_factory: pytest.TempPathFactory) -> tuple[RunRecord, Path]:
    return run(federation, tmp_path_factory.mktemp("jobs"), "fedgs-encrypted", "encrypted", [*changes(), SGD])


@pytest.fixture(scope="module")
def plain(federation: Federation, tmp_path_factory: pytest.TempPathFactory) -> tuple[RunRecord, Path]:
    return run(federation, tmp_path_factory.mktemp("jobs"), "fedgs", "open", [*changes(), SGD])


def decrypted(federation: Federation, site: str, result: Path) -> dict[str, torch.Tensor]:
    """The server's last model, opened with a site's key."""
    keys = federation.workspace.kits / site / "startup" / "client_context.tenseal"
    context = tenseal.context_from(keys.read_bytes())
    return {
        name: torch.tensor(tenseal.ckks_vector_from(context, value.numpy().tobytes()).decrypt(), dtype=torch.float64)
        for name, value in model(result).items()
    }


def site_model(federation: Federation, site: str, record: RunRecord) -> dict[str, torch.Tensor]:
    """The winner as a site decrypted it."""
    return load_model(federation.workspace.kits / site / "models" / f"{record.job_id}.pt")[0]


def test_encrypted_and_plain_give_the_same_model(
    federation: Federation, encrypted: tuple[RunRecord, Path], plain: tuple[RunRecord, Path]
) -> None:
    record, result = encrypted
    assert record.status == "complete"
    start, want = initial_state(Task.model_validate(record.task)), model(plain[1])
    found = decrypted(federation, "mr-a", result)
    assert found.keys() == want.keys()
    for name, value in want.items():
        assert torch.allclose(found[name], value.double().flatten(), atol=1e-5), name
    assert max(float((value - start[name]).abs().max()) for name, value in want.items()) > 1e-2
    assert record.evaluation.winner == plain[0].evaluation.winner
    winner = model(plain[1], str(record.evaluation.winner))
    for site in SITES:
        kept = site_model(federation, site, record)
        assert all(torch.allclose(kept[name], value, atol=1e-5) for name, value in winner.items())
    for site, scores in plain[0].evaluation.testing.items():
        assert record.evaluation.testing[site].mean == pytest.approx(scores.mean, abs=0.02)
    assert record.rounds[1].bytes_received > 5 * plain[0].rounds[1].bytes_received


def test_the_server_can_read_no_update_and_no_model(federation: Federation, encrypted: tuple[RunRecord, Path]) -> None:
    record, result = encrypted
    server = federation.workspace.kits / federation.workspace.participants("server")[0]
    keys = tenseal.context_from((server / "startup" / "server_context.tenseal").read_bytes())
    assert not keys.has_secret_key()
    site = federation.workspace.kits / "ct-a"
    assert tenseal.context_from((site / "startup" / "client_context.tenseal").read_bytes()).has_secret_key()
    last, _ = load_model(result / "workspace/flareseg/last.pt")
    assert {value.dtype for value in last.values()} == {torch.uint8}
    known = federation.known_to_server(result)
    assert any(path.name == "last.pt" and record.job_id in str(path) for path in known)
    secret = (site / "startup" / "client_context.tenseal").read_bytes()
    assert not [path for path, content in known.items() if secret in content]


def test_no_plain_model_lies_at_the_server(
    federation: Federation, encrypted: tuple[RunRecord, Path], plain: tuple[RunRecord, Path]
) -> None:
    """No file holds numbers near those of the model; the search finds them in the plain job."""
    last = decrypted(federation, "ct-a", encrypted[1])
    values = max(last.values(), key=lambda value: value.numel())[:64].numpy()
    assert holders(federation.known_to_server(plain[1]), plain[0].job_id, values)
    assert not holders(federation.known_to_server(encrypted[1]), encrypted[0].job_id, values)


def holders(known: dict[Path, bytes], job_id: str, values: np.ndarray) -> list[Path]:
    """Files of a job with these numbers in a row, as float32 or float64, give or take what CKKS rounds."""
    found = []
    for path, content in known.items():
        if job_id not in str(path):
            continue
        for kind in (np.float32, np.float64):
            size = np.dtype(kind).itemsize
            for offset in range(size):
                numbers = np.frombuffer(content[offset : offset + (len(content) - offset) // size * size], kind)
                near = np.flatnonzero(np.abs(numbers[: len(numbers) - len(values) + 1] - values[0]) < 1e-4)
                found += [
                    path for start in near if np.allclose(numbers[start : start + len(values)], values, atol=1e-4)
                ]
    return found
