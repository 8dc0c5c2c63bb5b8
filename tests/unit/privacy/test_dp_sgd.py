"""DP-SGD: sampling, gradients of single samples, clipping, noise, and what a round of it gives."""

from __future__ import annotations

import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats

from flareseg.config.site import load_site
from flareseg.config.task import Task
from flareseg.data.sampling import PatchSampler
from flareseg.data.site_data import SiteData
from flareseg.learning.learner import Learner
from flareseg.learning.losses.annotated import AnnotatedLoss
from flareseg.learning.losses.dice import DiceCE
from flareseg.learning.losses.soft_dice import SoftDice
from flareseg.networks import build_network, initial_state
from flareseg.privacy.dp_sgd import (
    PoissonSampler,
    PrivateGradients,
    per_sample_gradients,
    sample_rate,
    secret_normal,
)
from flareseg.privacy.scopes import DifferentialPrivacy

SCOPE = DifferentialPrivacy(epsilon=8, delta=1e-5, max_grad_norm=0.5, noise_multiplier=1.0)


class ExactLoss(AnnotatedLoss):
    """The loss of training in float64."""

    def forward(self, logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        logits, target = logits[:, self.annotated], target[:, self.annotated].double()
        entropy = torch.nn.functional.binary_cross_entropy_with_logits(logits, target)
        return SoftDice(1.0).dice(logits, target) + entropy


def samples(task: Task, count: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    images = torch.rand(count, 1, *task.patch, generator=generator)
    return images, torch.rand(count, len(task.labels), *task.patch, generator=generator) > 0.5


@pytest.mark.parametrize(
    "network",
    [{"channels": [4, 8]}, {"name": "segresnet", "channels": [8, 16]}, {"name": "dynunet", "channels": [2, 4, 4]}],
)
@pytest.mark.parametrize("patch", [[16, 16], [16, 16, 16]])
@pytest.mark.parametrize("chunk", [2, 8])
def test_gradients_are_those_of_single_samples(
    task_content: dict[str, Any], network: dict[str, Any], patch: list[int], chunk: int
) -> None:
    task = Task.model_validate(task_content | {"network": network, "patch": patch})
    module = build_network(task).double().train()
    images, target = samples(task, 5)
    loss = ExactLoss(DiceCE(), [0, 2])
    found = per_sample_gradients(module, loss, images.double(), target, chunk)
    largest = max(float(value.abs().max()) for value in found.values())
    for index in range(5):
        module.zero_grad()
        loss(module(images[index : index + 1].double()), target[index : index + 1]).backward()
        for name, parameter in module.named_parameters():
            assert parameter.grad is not None
            assert float((found[name][index] - parameter.grad).abs().max()) <= 1e-12 * largest


def noiseless(task: Task, expected: float, bound: float = 0.5) -> tuple[torch.nn.Module, PrivateGradients]:
    module = build_network(task).train()
    scope = SCOPE.model_copy(update={"noise_multiplier": 0.0, "max_grad_norm": bound})
    optimizer = torch.optim.SGD(module.parameters(), lr=1.0)
    return module, PrivateGradients(module, optimizer, AnnotatedLoss(DiceCE(), [0, 1, 2]), scope, expected)


def flat(values: Any) -> torch.Tensor:
    return torch.cat([value.flatten() for value in values])


def test_each_sample_is_clipped_by_itself_and_the_sum_divided_by_the_expected_number(task: Task) -> None:
    images, target = samples(task, 3)
    module, private = noiseless(task, expected=4.0, bound=0.1)
    own = per_sample_gradients(module, private.loss, images, target, 4)
    rows = torch.stack([flat(value[index] for value in own.values()) for index in range(3)])
    assert (rows.norm(dim=1) > 0.1).all()
    private.backward(images, target)
    want = (rows * (0.1 / rows.norm(dim=1, keepdim=True))).sum(0) / 4
    assert torch.allclose(flat(p.grad for p in module.parameters()), want, atol=1e-6)


def test_one_patient_more_moves_the_sum_by_no_more_than_the_bound(task: Task) -> None:
    images, target = samples(task, 4)
    images[3] *= 1e4
    sums = []
    for count in (3, 4):
        module, private = noiseless(task, expected=1.0)
        private.backward(images[:count], target[:count])
        sums.append(flat(p.grad for p in module.parameters()))
    assert 0.1 < float((sums[1] - sums[0]).norm()) <= 0.5 * (1 + 1e-5)


def test_a_sample_without_finite_gradient_adds_nothing(task: Task) -> None:
    images, target = samples(task, 2)
    images[1] = math.nan
    grads = []
    for count in (1, 2):
        module, private = noiseless(task, expected=1.0)
        private.backward(images[:count], target[:count])
        grads.append(flat(p.grad for p in module.parameters()))
    assert torch.allclose(grads[0], grads[1], atol=1e-6)


def test_an_empty_batch_is_noise_of_the_set_size(task: Task) -> None:
    module = build_network(task).train()
    scope = SCOPE.model_copy(update={"noise_multiplier": 3.0})
    optimizer = torch.optim.SGD(module.parameters(), lr=1.0)
    private = PrivateGradients(module, optimizer, AnnotatedLoss(DiceCE(), [0]), scope, expected=2.0)
    images, target = samples(task, 1)
    noise = []
    for _ in range(4):
        private.backward(images[:0], target[:0])
        noise.append(flat(p.grad for p in module.parameters()).double().numpy())
    values = np.concatenate(noise)
    assert stats.kstest(values / (3.0 * 0.5 / 2.0), "norm").pvalue > 1e-4
    assert abs(np.corrcoef(noise[0], noise[1])[0, 1]) < 0.1


def test_noise_is_normal_and_never_the_same() -> None:
    values = secret_normal(200_000)
    assert stats.kstest(values, "norm").pvalue > 1e-4
    assert np.isfinite(values).all()
    assert not np.array_equal(values, secret_normal(200_000))


@pytest.mark.parametrize(("batch", "patients", "rate"), [(2, 8, 0.25), (8, 8, 1.0), (8, 2, 1.0), (1, 200, 0.005)])
def test_the_sampling_rate(batch: int, patients: int, rate: float) -> None:
    assert sample_rate(batch, patients) == rate


def test_each_patient_comes_by_a_coin_of_its_own(task: Task) -> None:
    """Rate of each patient, independence, and one sample each, of any of its volumes."""
    volume = SimpleNamespace(
        image=np.zeros((1, 16, 16, 3), np.float32),
        label=np.zeros((3, 16, 16, 3), np.uint8),
        spacing=np.ones(3, np.float32),
        foreground=[np.zeros((0, 3), np.int32)] * 3,
    )
    patients = [[0], [1, 2], [3], [4, 5, 6], [7]]
    sampler = PoissonSampler(PatchSampler([volume] * 8, (16, 16), 0.7, [0]), patients)  # type: ignore[list-item]
    assert sampler.expected(2) == pytest.approx(2)
    rng = np.random.default_rng(0)
    draws = [sampler.draw(2, rng).volumes.tolist() for _ in range(3000)]
    owner = {number: index for index, numbers in enumerate(patients) for number in numbers}
    taken = np.zeros((3000, 5))
    for row, numbers in zip(taken, draws, strict=True):
        owners = [owner[number] for number in numbers]
        assert len(set(owners)) == len(owners)
        row[owners] = 1
    assert np.abs(taken.mean(0) - 0.4).max() < 0.04
    assert np.abs(np.corrcoef(taken.T) - np.eye(5)).max() < 0.08
    assert set(taken.sum(1)) == {0, 1, 2, 3, 4, 5}
    assert {number for numbers in draws for number in numbers} == set(range(8))


@pytest.fixture
def private_learner(task_content: dict[str, Any], site_file: Path, tmp_path: Path) -> Learner:
    task = Task.model_validate(task_content | {"fedgs": None})
    data = SiteData(task, load_site(site_file), tmp_path / "cache")
    return Learner(task, data, "ct-a", SCOPE)


def test_a_private_round_tells_no_loss_and_follows_no_seed(private_learner: Learner) -> None:
    state = initial_state(private_learner.task)
    torch.manual_seed(0)
    first = private_learner.train(state, 0)
    torch.manual_seed(0)
    second = private_learner.train(state, 0)
    assert first.loss is None
    assert (first.steps, first.mean_scale) == (private_learner.task.training.steps, 1.0)
    assert all(value.isfinite().all() for value in first.update.values())
    assert any(not torch.equal(first.update[name], second.update[name]) for name in first.update)


def test_a_private_round_survives_empty_batches(private_learner: Learner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flareseg.privacy.dp_sgd.sample_rate", lambda size, patients: 1e-9)
    result = private_learner.train(initial_state(private_learner.task), 0)
    assert all(value.isfinite().all() and value.abs().max() > 0 for value in result.update.values())
