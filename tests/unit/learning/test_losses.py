"""Losses against their formulas, computed slowly and plainly."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from scipy import ndimage

from flareseg.config.choices import LOSSES, Loss
from flareseg.config.task import Task
from flareseg.learning.losses.annotated import AnnotatedLoss, AnnotatedLossOfVolume
from flareseg.learning.losses.dice import Dice
from flareseg.learning.losses.focal_dice import FocalDice
from flareseg.learning.losses.instances import Blob, CCDiceCE
from flareseg.learning.losses.sd_utnet import SDUTNetLoss
from flareseg.learning.losses.tversky import Tversky
from flareseg.networks.nets.outputs import Outputs

PLAIN = [LOSSES.load(name)() for name in LOSSES.own if name != "sd_utnet"]
S = 1e-5


def batch(*spatial: int) -> tuple[torch.Tensor, torch.Tensor]:
    rng = np.random.default_rng(3)
    target = np.zeros((2, 2, *spatial), dtype=np.float32)
    corner = tuple(slice(1, 4) for _ in spatial)
    target[(0, 0, *corner)] = 1
    target[(0, 0, *(slice(6, 8) for _ in spatial))] = 1
    target[(0, 1, *corner)] = 1
    target[(1, 0, *(slice(5, 6) for _ in spatial))] = 1  # image 1 has nothing of label 1
    return torch.from_numpy(rng.normal(0, 1, target.shape).astype(np.float32)), torch.from_numpy(target)


def dice(p: np.ndarray, t: np.ndarray, smooth: float = S) -> float:
    return float(1 - (2 * (p * t).sum() + smooth) / (p.sum() + t.sum() + smooth))


def entropy(p: np.ndarray, t: np.ndarray, positive: float = 1.0) -> np.ndarray:
    return -(positive * t * np.log(p) + (1 - t) * np.log(1 - p))


def as_numpy(logits: torch.Tensor, target: torch.Tensor) -> tuple[np.ndarray, np.ndarray]:
    return torch.sigmoid(logits.double()).numpy(), target.double().numpy()


def images(p: np.ndarray, t: np.ndarray) -> list[tuple[np.ndarray, np.ndarray, np.ndarray, int]]:
    """Prediction, truth, numbered components of each image and label, and how many there are."""
    found = []
    for item in range(2):
        for label in range(2):
            parts, count = ndimage.label(t[item, label], structure=np.ones([3] * t[item, label].ndim))
            found.append((p[item, label], t[item, label], parts, count))
    return found


def cc_dice_ce(p: np.ndarray, t: np.ndarray) -> float:
    means = []
    for one, truth, parts, count in images(p, t):
        if count:
            distances = [ndimage.distance_transform_edt(parts != number) for number in range(1, count + 1)]
            nearest = np.argmin(distances, axis=0)
        else:
            nearest, count = np.zeros_like(parts), 1
        regions = [nearest == number for number in range(count)]
        means.append(np.mean([dice(one[r], truth[r]) + entropy(one[r], truth[r]).mean() for r in regions]))
    return float(np.mean(means))


def blob(p: np.ndarray, t: np.ndarray) -> float:
    whole = [dice(one, truth) for one, truth, _, _ in images(p, t)]
    means = []
    for one, truth, parts, count in images(p, t):
        masked = [(parts == 0) | (parts == number) for number in range(1, count + 1)]
        if count:
            means.append(np.mean([dice(one * mask, truth * mask) for mask in masked]))
    return float(2 * np.mean(whole) + np.mean(means))


def focal_dice(p: np.ndarray, t: np.ndarray) -> float:
    right = np.where(t > 0, p, 1 - p)
    focal = 0.25 * ((1 - right) ** 2 * entropy(p, t, 3.0)).mean()
    return float(0.5 * focal + 0.5 * np.mean([dice(one, truth) for one, truth, _, _ in images(p, t)]))


def tversky(p: np.ndarray, t: np.ndarray) -> float:
    values = []
    for label in range(2):
        one, truth = p[:, label], t[:, label]
        hit, wrong, missed = (one * truth).sum(), (one * (1 - truth)).sum(), ((1 - one) * truth).sum()
        values.append(1 - (hit + S) / (hit + 0.3 * wrong + 0.7 * missed + S))
    return float(np.mean(values))


def smooth_dice(p: np.ndarray, t: np.ndarray) -> float:
    return float(np.mean([dice(p[:, label], t[:, label], 0.1) for label in range(2)]))


FORMULAS: list[tuple[Loss, Any]] = [
    (CCDiceCE(), cc_dice_ce),
    (Blob(), blob),
    (FocalDice(), focal_dice),
    (Tversky(), tversky),
    (Dice(smooth=0.1), smooth_dice),
]


@pytest.mark.parametrize("spatial", [(12, 10), (9, 10, 8)])
@pytest.mark.parametrize(("loss", "formula"), FORMULAS, ids=[loss.name for loss, _ in FORMULAS])
def test_the_loss_is_that_of_its_paper(loss: Loss, formula: Any, spatial: tuple[int, ...]) -> None:
    logits, target = batch(*spatial)
    value = AnnotatedLoss(loss, [0, 1])(logits, target.to(torch.uint8))
    assert float(value) == pytest.approx(formula(*as_numpy(logits, target)), rel=2e-5)


@pytest.mark.parametrize("loss", PLAIN, ids=lambda loss: loss.name)
def test_labels_that_are_not_annotated_do_not_count(loss: Loss) -> None:
    logits, target = batch(12, 10)
    logits.requires_grad_()
    AnnotatedLoss(loss, [1])(logits, target).backward()
    assert logits.grad is not None
    assert not logits.grad[:, 0].any()
    assert logits.grad[:, 1].any()
    assert logits.grad.isfinite().all()


@pytest.mark.parametrize("loss", PLAIN, ids=lambda loss: loss.name)
def test_a_better_prediction_has_less_loss_also_in_a_volume_of_parts(loss: Loss) -> None:
    _, target = batch(9, 10, 8)
    values = []
    for certainty in (-5.0, 0.0, 5.0):
        logits = (target * 2 - 1) * certainty
        whole = AnnotatedLoss(loss, [0, 1])
        volume = AnnotatedLossOfVolume(whole)
        for start in (0, 4):
            volume.add(logits[0][..., start : start + 4], target[0][..., start : start + 4])
        values.append((float(whole(logits, target)), volume.value()))
    assert [sorted(kind, reverse=True) for kind in zip(*values, strict=True)] == [
        list(kind) for kind in zip(*values, strict=True)
    ]


def test_an_empty_batch_of_targets_is_finite() -> None:
    logits, target = torch.zeros(2, 1, 8, 8, requires_grad=True), torch.zeros(2, 1, 8, 8)
    for loss in PLAIN:
        assert AnnotatedLoss(loss, [0])(logits, target).isfinite()


def test_sd_utnet_s_loss_adds_its_four_parts() -> None:
    logits, target = batch(12, 10)
    generator = torch.Generator().manual_seed(0)
    names = ("mean", "log_variance", "code", "code_again", "image", "reconstruction")
    more = {name: torch.rand(2, 8, generator=generator) for name in names}
    found = AnnotatedLoss(SDUTNetLoss(), [0, 1])(Outputs(logits, more), target)
    mean, log_variance = more["mean"].numpy(), more["log_variance"].numpy()
    kl = 0.5 * (mean**2 + np.exp(log_variance) - 1 - log_variance).sum(1).mean()
    l1 = sum(float((more[a] - more[b]).abs().mean()) for a, b in (("code", "code_again"), ("image", "reconstruction")))
    assert float(found) == pytest.approx(10 * smooth_dice(*as_numpy(logits, target)) + 0.01 * kl + l1, rel=1e-5)


@pytest.mark.parametrize("name", LOSSES.own)
def test_a_loss_that_says_so_gives_gradients_of_single_samples(name: str, task_content: dict[str, Any]) -> None:
    loss = LOSSES.load(name)()
    if not loss.per_sample or loss.needs:
        pytest.skip("refused by the scope dp, tested there")
    whole = AnnotatedLoss(loss, [0, 1])
    logits, target = batch(12, 10)
    grads = torch.func.vmap(torch.func.grad(lambda x, t: whole(x[None], t[None])))(logits, target)
    for index in range(2):
        one = logits[index : index + 1].clone().requires_grad_()
        whole(one, target[index : index + 1]).backward()
        torch.testing.assert_close(grads[index], one.grad[0])
    assert Task.model_validate(task_content | {"loss": name}).loss == loss
