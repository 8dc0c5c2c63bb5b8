from __future__ import annotations

import json
import math

import numpy as np
import pytest
import torch

from flareseg.config.choices import Loss
from flareseg.learning.losses.annotated import AnnotatedLoss
from flareseg.learning.losses.dice import Dice, DiceCE
from flareseg.learning.metrics import Score, Scores, dice_by_size, dice_per_label

SPACING = np.array([2.0, 2.0, 5.0])


def ball(shape: tuple[int, int, int], centre: tuple[int, int, int], radius_mm: float) -> np.ndarray:
    grid = np.stack(np.meshgrid(*(np.arange(n) for n in shape), indexing="ij"), -1)
    return np.linalg.norm((grid - centre) * SPACING, axis=-1) <= radius_mm


def test_dice_of_each_label_in_one_volume() -> None:
    target = torch.zeros(4, 4, 4, 4, dtype=torch.bool)
    prediction = torch.zeros_like(target)
    target[0, :2], prediction[0, :2] = True, True  # perfect
    target[1, :2], prediction[1, 1:3] = True, True  # half
    prediction[2, 0] = True  # predicted, absent in truth
    dice = dice_per_label(prediction, target)
    assert dice[:3].tolist() == [1.0, 0.5, 0.0]
    assert math.isnan(dice[3])  # absent in both: left out


def test_score_leaves_out_what_could_not_be_scored() -> None:
    assert Score.of([0.5, math.nan, 1.0]) == Score(0.75, 2)
    nothing = Score.of([math.nan])
    assert math.isnan(nothing.mean)
    assert nothing.volumes == 0


def test_scores_are_valid_json() -> None:
    scores = Scores({"liver": Score(0.5, 2), "lesion": Score(math.nan, 0)}, Score(math.nan, 0), Score(0.1, 1), 0.3)
    assert scores.mean == 0.5
    told = json.loads(json.dumps(scores.as_dict(), allow_nan=False))
    assert told["dice"]["lesion"] == {"mean": None, "volumes": 0}


def test_small_and_large_targets_are_scored_apart() -> None:
    shape = (60, 60, 24)
    small, large = ball(shape, (12, 12, 6), 5.0), ball(shape, (40, 40, 14), 20.0)
    assert dice_by_size(small | large, small | large, SPACING, 20.0) == (1.0, 1.0)
    assert dice_by_size(large, small | large, SPACING, 20.0) == (0.0, 1.0)
    assert dice_by_size(small, small | large, SPACING, 20.0) == (1.0, 0.0)


def test_a_false_positive_counts_once_against_the_nearest_target() -> None:
    shape = (60, 60, 24)
    small, large = ball(shape, (12, 12, 6), 5.0), ball(shape, (40, 40, 14), 20.0)
    stray = np.zeros(shape, dtype=bool)
    stray[16:18, 12, 6] = True
    got_small, got_large = dice_by_size(small | large | stray, small | large, SPACING, 20.0)
    assert got_large == 1.0
    assert got_small == pytest.approx(2 * small.sum() / (2 * small.sum() + stray.sum()))


def test_no_target_of_a_size_gives_nan() -> None:
    shape = (30, 30, 10)
    small = ball(shape, (12, 12, 5), 5.0)
    dice = dice_by_size(small, small, SPACING, 20.0)
    assert dice[0] == 1.0
    assert math.isnan(dice[1])
    assert all(math.isnan(value) for value in dice_by_size(small, np.zeros(shape), SPACING, 20.0))


@pytest.mark.parametrize("settings", [Dice(), DiceCE()], ids=lambda item: item.name)
def test_unannotated_labels_get_no_gradient(settings: Loss) -> None:
    logits = torch.randn(2, 3, 8, 8, requires_grad=True)
    target = torch.zeros(2, 3, 8, 8, dtype=torch.uint8)
    target[:, :, 2:4] = 1
    AnnotatedLoss(settings, [0, 2])(logits, target).backward()
    assert logits.grad is not None
    assert (logits.grad[:, 1] == 0).all()
    assert (logits.grad[:, [0, 2]] != 0).any()


def test_a_perfect_prediction_has_almost_no_loss() -> None:
    target = torch.zeros(1, 1, 8, 8)
    target[..., 2:5] = 1
    loss = AnnotatedLoss(DiceCE(), [0])
    assert float(loss((target * 2 - 1) * 50, target)) < 1e-3 < float(loss((1 - target * 2) * 50, target))


@pytest.mark.parametrize("dtype", [torch.bool, torch.uint8, torch.int16, torch.float32])
def test_dice_per_label_takes_masks_of_any_dtype(dtype: torch.dtype) -> None:
    """600 voxels: more than uint8 can count."""
    truth, prediction = torch.zeros(3, 10, 10, 10), torch.zeros(3, 10, 10, 10)
    truth[0, :6], prediction[0, :3], prediction[1, 0] = 1, 1, 1
    dice = dice_per_label(prediction.to(dtype), truth.to(dtype)).tolist()
    assert dice[:2] == pytest.approx([2 * 300 / 900, 0])
    assert math.isnan(dice[2])
