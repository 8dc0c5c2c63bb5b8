"""Local work against PyTorch's schedulers, an optimiser that was never interrupted, and FedProx's objective."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from flareseg.config.choices import SCHEDULES
from flareseg.config.site import load_site
from flareseg.config.task import Task
from flareseg.data.site_data import SiteData
from flareseg.errors import SettingsError
from flareseg.flare.site.local_parameters import LocalParameters
from flareseg.learning.learner import Learner
from flareseg.learning.optimisation import RoundOptimizer, steps_of_round
from flareseg.networks import build_network, frozen_names, initial_state, unsent_names
from flareseg.privacy.dp_sgd import per_sample_gradients

RUN = "0b9b8c1e-3c8a-4a0e-9d53-6a6e1c1c1c1c"


def of(content: dict[str, Any], **optimizer: Any) -> Task:
    training = {"rounds": 10, "steps": 3, "batch_size": 2, **optimizer.pop("training", {})}
    return Task.model_validate(content | {"fedgs": None, "training": training, "optimizer": {"lr": 0.1, **optimizer}})


def rate(
    task: Task, round_number: int, memory: dict[str, torch.Tensor], loss: float | None = None
) -> tuple[float, Any]:
    weight = {"w": torch.nn.Parameter(torch.zeros(2))}
    of_round = RoundOptimizer(task, weight, memory, round_number, loss)
    return float(of_round.optimizer.param_groups[0]["lr"]), of_round.memory()


@pytest.mark.parametrize(
    ("schedule", "peer"),
    [
        ("constant", lambda o: torch.optim.lr_scheduler.ConstantLR(o, factor=1.0)),
        ("cosine", lambda o: torch.optim.lr_scheduler.CosineAnnealingLR(o, T_max=10)),
        ({"name": "polynomial", "power": 0.7}, lambda o: torch.optim.lr_scheduler.PolynomialLR(o, 10, power=0.7)),
    ],
)
def test_step_sizes_are_those_of_pytorch_s_schedulers(task_content: dict[str, Any], schedule: Any, peer: Any) -> None:
    task = of(task_content, schedule=schedule)
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.1)
    scheduler = peer(optimizer)
    for round_number in range(10):
        assert rate(task, round_number, {})[0] == pytest.approx(optimizer.param_groups[0]["lr"], rel=1e-9)
        optimizer.step()
        scheduler.step()


@pytest.mark.parametrize("seed", range(5))
def test_plateau_is_pytorch_s(task_content: dict[str, Any], seed: int) -> None:
    task = of(task_content, schedule={"name": "plateau", "patience": 2, "least": 0.02})
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.1)
    peer = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, factor=0.5, patience=2, min_lr=0.02, eps=0)
    memory: dict[str, torch.Tensor] = {}
    for loss in np.random.default_rng(seed).uniform(0.4, 0.5, 40).tolist():
        peer.step(loss)
        found, memory = rate(task, 0, memory, loss)
        assert found == pytest.approx(optimizer.param_groups[0]["lr"])
    unscored, same = rate(task, 0, memory, None)
    assert unscored == found
    assert all(torch.equal(value, memory[name]) for name, value in same.items())
    assert found < 0.1


def test_warm_up_rises_to_the_schedule(task_content: dict[str, Any]) -> None:
    task = of(task_content, schedule="constant", warmup_rounds=4)
    assert [rate(task, number, {})[0] for number in range(6)] == pytest.approx([0.02, 0.04, 0.06, 0.08, 0.1, 0.1])


@pytest.mark.parametrize("name", ["adamw", "adam", "sgd"])
def test_a_kept_optimiser_goes_on_as_if_there_were_no_rounds(
    task_content: dict[str, Any], name: str, tmp_path: Path
) -> None:
    """Also through the file in which a site keeps it, to the bit."""
    task = of(task_content, name=name, schedule="constant", state="kept")
    gradients = torch.randn(4, 5, generator=torch.Generator().manual_seed(0))
    straight, rounds = torch.nn.Parameter(torch.ones(5)), torch.nn.Parameter(torch.ones(5))
    optimizer = task.optimizer.build([straight], 0.1)
    memory: dict[str, torch.Tensor] = {}
    for number in range(2):
        local = LocalParameters(tmp_path, RUN)
        memory = local.before(number)
        of_round = RoundOptimizer(task, {"a.w": rounds}, memory, number, None)
        for gradient in gradients[2 * number : 2 * number + 2]:
            for parameter, one in ((straight, optimizer), (rounds, of_round.optimizer)):
                parameter.grad = gradient.clone()
                one.step()
        local.keep(number, of_round.memory())
        del local  # another process may take its lock
    assert torch.equal(straight, rounds)
    fresh = RoundOptimizer(of(task_content, name=name), {"a.w": rounds}, memory, 1, None)
    assert not fresh.optimizer.state
    assert fresh.memory() == {}


def learner(task: Task, site_file: Path, cache: Path) -> Learner:
    return Learner(task, SiteData(task, load_site(site_file), cache), "ct-a")


def test_a_resumed_site_trains_to_the_same_bits(task_content: dict[str, Any], site_file: Path, tmp_path: Path) -> None:
    task = of(task_content, state="kept", schedule={"name": "plateau", "patience": 0}, training={"proximal": 0.1})
    state = initial_state(task)
    one = learner(task, site_file, tmp_path / "cache")
    updates = []
    for number in range(3):
        local = LocalParameters(tmp_path, RUN)
        one.local = local.before(number)
        one.validate(state)
        updates.append(one.train(state, number).update)
        local.keep(number, one.local)
        del local  # another process may take its lock
    again = learner(task, site_file, tmp_path / "cache")
    again.local = LocalParameters(tmp_path, RUN).before(2)
    assert any(name.startswith("optimizer/exp_avg/") for name in again.local)
    again.validate(state)
    update = again.train(state, 2).update
    assert all(torch.equal(update[name], value) for name, value in updates[2].items())
    assert not any(name.startswith(("optimizer/", "schedule/")) for name in update)


def test_fedprox_trains_on_its_objective(task_content: dict[str, Any]) -> None:
    task = of(task_content, name="sgd", weight_decay=0, momentum=0, schedule="constant", training={"proximal": 0.5})
    goal, start = torch.tensor([1.0, -2.0, 3.0]), torch.tensor([0.5, 0.5, 0.5])
    plain, found = torch.nn.Parameter(start.clone()), torch.nn.Parameter(start.clone())
    optimizer = torch.optim.SGD([plain], lr=0.1)
    of_round = RoundOptimizer(task, {"w": found}, {}, 0, None)
    for _ in range(5):
        optimizer.zero_grad()
        (((plain - goal) ** 2).sum() + 0.25 * ((plain - start) ** 2).sum()).backward()
        optimizer.step()
        of_round.optimizer.zero_grad()
        ((found - goal) ** 2).sum().backward()
        of_round.shape_gradients()
        of_round.optimizer.step()
    torch.testing.assert_close(plain, found)


def test_gradients_are_scaled_down_to_the_norm(task_content: dict[str, Any]) -> None:
    task = of(task_content, training={"clip_norm": 2.0})
    a, b = torch.nn.Parameter(torch.zeros(2)), torch.nn.Parameter(torch.zeros(1))
    of_round = RoundOptimizer(task, {"a": a, "b": b}, {}, 0, None)
    for gradient, norm in ((4.0, 2.0), (0.5, 0.75**0.5)):
        a.grad, b.grad = torch.full((2,), gradient), torch.full((1,), gradient)
        of_round.shape_gradients()
        assert float(torch.cat([a.grad, b.grad]).norm()) == pytest.approx(norm, rel=1e-5)


@pytest.mark.parametrize(("epochs", "most", "steps"), [(None, 3, 3), (1, 100, 10), (3, 100, 30), (3, 7, 7)])
def test_epochs_are_whole_batches_of_what_a_site_has(
    task_content: dict[str, Any], site_file: Path, tmp_path: Path, epochs: int | None, most: int, steps: int
) -> None:
    """Four training volumes of five slices, in batches of two."""
    task = of(task_content, training={"epochs": epochs, "steps": most})
    data = SiteData(task, load_site(site_file), tmp_path / "cache")
    assert len(data.volumes("training")) == 4
    assert steps_of_round(task, data) == steps


def test_epochs_need_a_bound(task_content: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="with epochs, give steps too"):
        Task.model_validate(task_content | {"training": {"epochs": 1}})


def test_frozen_parts_are_neither_trained_nor_sent(
    task_content: dict[str, Any], site_file: Path, tmp_path: Path
) -> None:
    task = Task.model_validate(task_content | {"frozen": ["model.0.*"], "local_parameters": ["*.bias"]})
    one = learner(task, site_file, tmp_path / "cache")
    state = initial_state(task)
    result = one.train(state, 0)
    frozen = frozen_names(one.network, task)
    assert frozen
    assert frozen == {name for name in state if name.startswith("model.0.")}
    assert result.update.keys() == state.keys() - unsent_names(one.network, task)
    assert all(torch.equal(one.network.state_dict()[name], state[name]) for name in frozen)
    assert any(float(value.abs().max()) > 0 for value in result.update.values())
    for pattern, words in (
        ("nothing.*", "frozen: 'nothing.\\*' matches nothing"),
        ("*", "leave a parameter to be trained"),
    ):
        with pytest.raises(SettingsError, match=words):
            frozen_names(one.network, task.model_copy(update={"frozen": (pattern,)}))


def test_frozen_parts_have_no_gradient_of_single_samples(task_content: dict[str, Any]) -> None:
    network = build_network(Task.model_validate(task_content))
    names = [name for name, _ in network.named_parameters()]
    network.get_parameter(names[0]).requires_grad_(False)
    found = per_sample_gradients(
        network, lambda x, y: ((x - y) ** 2).mean(), torch.rand(2, 1, 16, 16), torch.rand(2, 3, 16, 16), 2
    )
    assert list(found) == names[1:]


def test_every_schedule_is_tested_here() -> None:
    assert set(SCHEDULES.own) == {"constant", "cosine", "polynomial", "plateau"}
