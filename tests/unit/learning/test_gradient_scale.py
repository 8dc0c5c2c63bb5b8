from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from flareseg.config.methods import SmallTarget
from flareseg.config.task import Task
from flareseg.data.cache import Volume
from flareseg.data.sampling import PatchSampler
from flareseg.learning.gradient_scale import GradientScale, smallest_components, target_deltas
from tiny import TINY_TASK


def delta(inverse_area: float, base: float = 100.0) -> float:
    return float(np.tanh((np.log(inverse_area) / np.log(base)) ** 2))


def square(size: int, side: int = 32, dims: int = 2) -> np.ndarray:
    mask = np.zeros((1, 1, *[side] * dims), dtype=np.uint8)
    mask[(0, 0, *[slice(2, 2 + size)] * dims)] = 1
    return mask


def test_the_smallest_part_counts_where_asked() -> None:
    mask = square(8)
    mask[0, 0, 20:22, 20:22] = 1
    assert smallest_components(mask).sum() == 4
    whole = target_deltas(mask, np.ones((1, 3)), SmallTarget(threshold=100))
    part = target_deltas(mask, np.ones((1, 3)), SmallTarget(threshold=100, target_size="smallest_component"))
    assert whole[0] == 0
    assert part[0] == pytest.approx(delta(1024 / 4))
    assert not smallest_components(np.zeros((1, 1, 8, 8), np.uint8)).any()


@pytest.mark.parametrize(("spacing", "small"), [(1.0, True), (2.0, False)])
def test_a_physical_bound_looks_at_millimetres(spacing: float, small: bool) -> None:
    target = SmallTarget(largest_mm2=16.0)
    deltas = target_deltas(square(4), np.full((1, 3), spacing, np.float32), target)
    assert deltas[0] == pytest.approx(delta(1024 / 16) if small else 0.0)


def test_volumes_are_measured_in_mm3() -> None:
    spacing = np.array([[2.0, 2.0, 5.0]], np.float32)
    mask = square(2, side=16, dims=3)
    for bound, small in ((160.0, True), (159.0, False)):
        deltas = target_deltas(mask, spacing, SmallTarget(largest_mm3=bound, log_base=1000))
        assert deltas[0] == pytest.approx(delta(4096 / 8, 1000) if small else 0.0)


def test_of_several_labels_the_largest_counts_each_with_its_own_threshold(task_content: dict[str, Any]) -> None:
    targets = {"lesion": {"threshold": 10}, "spleen": {"threshold": 1000}}
    task = Task.model_validate(task_content | {"fedgs": {"targets": targets}})
    labels = np.zeros((2, 3, 32, 32), dtype=np.uint8)
    labels[0, 2, :4, :4] = 1  # inverse area 64: small for the lesion
    labels[0, 1, :2, :2] = 1  # 256: not small for the spleen
    labels[1, 1, :1, :1] = 1  # 1024: small
    spacing = np.ones((2, 3), np.float32)
    assert GradientScale(task)(labels, spacing, [0, 1, 2]) == pytest.approx(1 + delta(64) + delta(1024))
    assert GradientScale(task)(labels, spacing, [0, 2]) == pytest.approx(1 + delta(64))


def test_a_constant_scales_every_batch(task_content: dict[str, Any]) -> None:
    task = Task.model_validate(task_content | {"fedgs": {"constant": 1.34}})
    assert GradientScale(task)(np.zeros((2, 3, 8, 8), np.uint8), np.ones((2, 3)), [0]) == 1.34


@pytest.mark.parametrize(
    ("fedgs", "words"),
    [
        ({}, "either targets or constant"),
        ({"constant": 1.3, "targets": {"lesion": {"threshold": 10}}}, "either targets or constant"),
        ({"constant": -1}, "greater than 0"),
        ({"targets": {"lesion": {}}}, "one of threshold"),
        ({"targets": {"lesion": {"threshold": 10, "largest_mm2": 5}}}, "one of threshold"),
        ({"targets": {"lesion": {"largest_mm3": 5}}}, "does not fit a patch of 2"),
        ({"targets": {"lesion": {"threshold": 10}}, "normalize": "max"}, "normalize"),
    ],
)
def test_wrong_settings_are_refused(task_content: dict[str, Any], fedgs: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        Task.model_validate(task_content | {"fedgs": fedgs})


@pytest.mark.parametrize("size", [0.7, 0.9, 1.1, 1.3])
def test_a_target_of_just_the_physical_bound_is_small(task_content: dict[str, Any], size: float) -> None:
    """Spacing comes as float32, which holds none of these."""
    content = task_content | {"fedgs": {"targets": {"lesion": {"largest_mm2": round(4 * size**2, 6)}}}}
    labels = np.zeros((1, 3, 16, 16), dtype=np.uint8)
    labels[0, 2, :2, :2] = 1
    voxel = np.array([[size, size, 5.0]], dtype=np.float32)
    assert GradientScale(Task.model_validate(content))(labels, voxel, [2]) > 1


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10_000), patch=st.sampled_from([(16, 16), (16, 16, 16)]))
def test_a_patch_cut_away_from_the_target_is_not_scaled(seed: int, patch: tuple[int, ...]) -> None:
    label = np.zeros((3, 20, 18, 5), dtype=np.uint8)
    label[2, :2, :2, 3] = 1  # patches reach it now and then
    voxels = [np.argwhere(mask).astype(np.int32) for mask in label]
    volume = Volume(np.zeros((1, *label.shape[1:]), np.float32), label, np.ones(3, np.float32), voxels)
    batch = PatchSampler([volume], patch, 0.0, [0, 1, 2]).draw(4, np.random.default_rng(seed))
    scale = GradientScale(Task.model_validate(TINY_TASK | {"patch": patch}))
    held = batch.labels[:, 2].reshape(4, -1).any(1)
    away = batch.labels[~held]
    assert not len(away) or scale(away, batch.spacing[~held], [0, 1, 2]) == 1.0
    assert (scale(batch.labels, batch.spacing, [0, 1, 2]) > 1.0) == held.any()
