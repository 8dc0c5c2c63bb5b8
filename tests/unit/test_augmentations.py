"""Every augmentation: the same draws give the same batch, shapes and types stay, labels go with the voxels."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from flareseg.augmentations.colour_jitter import ColourJitter
from flareseg.augmentations.frequency import Frequency
from flareseg.augmentations.spatial import Flip, Rotation, Scaling
from flareseg.augmentations.src import SRC
from flareseg.config.choices import AUGMENTATIONS, Augmentation
from flareseg.config.task import Task
from flareseg.transforms.by_region import by_region
from flareseg.transforms.colour import jitter
from flareseg.transforms.rand_gin import RandGIN
from flareseg.transforms.spectrum import mix_amplitudes

ALL: list[Augmentation] = [AUGMENTATIONS.load(name)(probability=1.0) for name in AUGMENTATIONS.own]
MOVING = {"flip", "rotation", "scaling", "elastic"}


def batch(augmentation: Augmentation, *spatial: int, size: int = 4) -> tuple[torch.Tensor, torch.Tensor, np.ndarray]:
    """Images whose first channel is bright exactly where the first label is."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.zeros(size, 2, *spatial, dtype=torch.uint8)
    labels[(slice(None), 0, *(slice(3, 9) for _ in spatial))] = 1
    labels[(slice(None), 1, *(slice(4, 6) for _ in spatial))] = 1
    noise = torch.rand(size, augmentation.channels or 1, *spatial, generator=generator)
    return 0.2 * noise + 0.8 * labels[:, :1].float(), labels, np.arange(size)


def apply(augmentation: Augmentation, seed: int, *given: Any) -> tuple[torch.Tensor, torch.Tensor]:
    return augmentation.build(np.random.RandomState(seed))(*given)


SHAPES = [(24, 20), (16, 18, 14)]
CASES = [(item, shape) for item in ALL for shape in SHAPES if not (item.name == "colour_jitter" and len(shape) == 3)]
IDS = [f"{item.name}-{len(shape)}d" for item, shape in CASES]


@pytest.mark.parametrize(("augmentation", "spatial"), CASES, ids=IDS)
def test_draws_come_from_the_state_alone(augmentation: Augmentation, spatial: tuple[int, ...]) -> None:
    images, labels, volumes = batch(augmentation, *spatial)
    before = images.clone(), labels.clone()
    torch.manual_seed(1)
    np.random.seed(1)
    once = apply(augmentation, 5, images, labels, volumes)
    torch.manual_seed(2)
    np.random.seed(2)
    again = apply(augmentation, 5, images, labels, volumes)
    other = apply(augmentation, 6, images, labels, volumes)
    assert all(torch.equal(a, b) for a, b in zip(once, again, strict=True))
    assert not torch.equal(once[0], other[0]) or augmentation.name == "flip"
    assert not torch.equal(once[0], images)
    assert all(torch.equal(a, b) for a, b in zip(before, (images, labels), strict=True)), "the batch was changed"
    for result, given in zip(once, (images, labels), strict=True):
        assert (result.shape, result.dtype, type(result)) == (given.shape, given.dtype, torch.Tensor)
        assert result.float().isfinite().all()
    assert set(once[1].unique().tolist()) <= {0, 1}
    assert torch.equal(once[1], labels) != (augmentation.name in MOVING)


@pytest.mark.parametrize(("augmentation", "spatial"), CASES, ids=IDS)
def test_nothing_happens_at_probability_zero(augmentation: Augmentation, spatial: tuple[int, ...]) -> None:
    never = augmentation.model_copy(update={"probability": 0.0})
    images, labels, volumes = batch(never, *spatial)
    changed = apply(never, 5, images, labels, volumes)
    assert torch.equal(changed[0], images)
    assert torch.equal(changed[1], labels)


@pytest.mark.parametrize("spatial", SHAPES)
@pytest.mark.parametrize("name", sorted(MOVING))
def test_labels_go_with_the_voxels(name: str, spatial: tuple[int, ...]) -> None:
    augmentation = next(item for item in ALL if item.name == name)
    images, labels = apply(augmentation, 3, *batch(augmentation, *spatial, size=8))
    bright = images[:, 0] > 0.6
    overlap = (bright & (labels[:, 0] == 1)).sum() / (bright | (labels[:, 0] == 1)).sum()
    assert float(overlap) > (0.99 if name == "flip" else 0.75)


def test_flips_are_exact_and_each_axis_has_its_coin() -> None:
    images, labels, volumes = batch(Flip(), 24, 20, size=64)
    changed, moved = apply(Flip(), 0, images, labels, volumes)
    seen = set()
    for one, two, image, label in zip(changed, moved, images, labels, strict=True):
        fits = [axes for axes in ((), (1,), (2,), (1, 2)) if torch.equal(one, image.flip(axes))]
        assert len(fits) == 1
        assert torch.equal(two, label.flip(fits[0]))
        seen.add(fits[0])
    assert len(seen) == 4
    assert torch.equal(apply(Flip(axes=(2,)), 0, images, labels, volumes)[0], images), "slices have no third axis"


def test_volumes_turn_in_the_axial_plane() -> None:
    images, labels, volumes = batch(Rotation(), 16, 16, 14)
    _, moved = apply(Rotation(probability=1.0, degrees=40), 1, images, labels, volumes)
    extent = [labels[0, 0].sum((0, 1)), moved[0, 0].sum((0, 1))]
    assert torch.equal(extent[0] > 0, extent[1] > 0)


def test_scaling_keeps_its_range() -> None:
    images, labels, volumes = batch(Scaling(), 12, 12, size=16)  # the label is in the middle
    _, moved = apply(Scaling(probability=1.0, factors=(1.2, 1.5)), 1, images, labels, volumes)
    ratio = moved[:, 0].float().sum((1, 2)) / labels[:, 0].float().sum((1, 2))
    assert 1.2 < float(ratio.min()) <= float(ratio.max()) < 2.6


def test_a_region_is_the_whole_image_changed_by_its_own_draw() -> None:
    image, labels = torch.rand(1, 12, 12), torch.zeros(2, 12, 12, dtype=torch.uint8)
    labels[0, 2:10, 2:10], labels[1, 4:6, 4:6] = 1, 1
    changed = by_region(image, labels, RandGIN().set_random_state(0).apply_batch)
    each = RandGIN().set_random_state(0).apply_batch(image.expand(3, 1, 12, 12).contiguous())
    organ = (labels[0] > 0) & (labels[1] == 0)
    for mask, whole in ((labels[0] == 0, each[0]), (organ, each[1]), (labels[1] > 0, each[2])):
        assert torch.equal(changed[:, mask], whole[:, mask])


def test_without_labels_src_is_gin() -> None:
    images, labels, volumes = batch(SRC(), 12, 12)
    changed, _ = apply(SRC(probability=1.0), 0, images, torch.zeros_like(labels), volumes)
    assert not torch.equal(changed, images)
    norms = [torch.linalg.vector_norm(x.flatten(1), dim=1) for x in (changed, images)]
    torch.testing.assert_close(*norms)


def test_amplitudes_are_mixed_and_phases_stay() -> None:
    x, y = torch.rand(2, 1, 16, 16), torch.rand(2, 1, 16, 16)
    nothing = mix_amplitudes(x, y, torch.zeros(2), 1.0)
    torch.testing.assert_close(nothing, x)
    half = torch.fft.fftn(mix_amplitudes(x, y, torch.tensor([1.0, 0.5]), 0.25), dim=(2, 3))
    mine, other = (torch.fft.fftn(value, dim=(2, 3)) for value in (x, y))
    near = torch.fft.fftfreq(16).abs() <= 0.125
    low = near[:, None] & near[None]
    torch.testing.assert_close(half[0, 0][low].abs(), other[0, 0][low].abs(), rtol=1e-4, atol=1e-4)
    expected = 0.5 * (mine[1, 0][low].abs() + other[1, 0][low].abs())
    torch.testing.assert_close(half[1, 0][low].abs(), expected, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(half[:, 0, ~low], mine[:, 0, ~low], rtol=1e-4, atol=1e-4)
    turned = torch.polar(torch.ones(()), (half.angle() - mine.angle())).real
    assert float(turned.min()) > 0.999


def test_the_frequencies_of_one_sample_alone_stay() -> None:
    images, labels, volumes = batch(Frequency(), 16, 16, size=1)
    torch.testing.assert_close(apply(Frequency(probability=1.0), 0, images, labels, volumes)[0], images)


def test_colours_as_they_are_known() -> None:
    red, grey = torch.tensor([1.0, 0, 0]).view(3, 1, 1), torch.full((3, 1, 1), 0.4)
    order = [0, 1, 2, 3]
    for image in (red, grey, torch.rand(3, 6, 6)):
        torch.testing.assert_close(jitter(image, (1.0, 1.0, 1.0), 0.0, order), image)
    torch.testing.assert_close(jitter(red, (1.0, 1.0, 1.0), 1 / 3, order).flatten(), torch.tensor([0.0, 1, 0]))
    torch.testing.assert_close(jitter(red, (1.0, 1.0, 1.0), -1 / 6, order).flatten(), torch.tensor([1.0, 0, 1]))
    torch.testing.assert_close(jitter(grey, (1.0, 1.0, 1.0), 0.3, order), grey)
    torch.testing.assert_close(jitter(red, (0.5, 1.0, 1.0), 0.0, order).flatten(), torch.tensor([0.5, 0, 0]))
    torch.testing.assert_close(jitter(red, (1.0, 1.0, 0.0), 0.0, order), torch.full((3, 1, 1), 0.299))


@pytest.mark.parametrize(
    ("item", "words"),
    [
        ({"name": "gamma", "exponents": [2, 1]}, "exponents\n.*should rise, got 2 and 1"),
        ({"name": "blur", "sigma": [2, 1]}, "sigma\n.*should rise"),
        ({"name": "low_resolution", "factors": [0.5, 1.5]}, "less than or equal to 1"),
        ({"name": "low_resolution", "factors": [0.9, 0.5]}, "factors\n.*should rise"),
        ({"name": "low_resolution", "factors": [0, 0.5]}, "greater than or equal to 0.1"),
        ({"name": "src", "mixing": [0.9, 0.1]}, "mixing\n.*should rise"),
        ({"name": "colour_jitter"}, "colour_jitter is for images of 3 channels"),
        ({"name": "flip", "axes": []}, "at least 1 item"),
    ],
)
def test_what_does_not_fit_is_refused(task_content: dict[str, Any], item: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Task.model_validate(task_content | {"augmentation": [item]})


def test_frames_take_colour_jitter() -> None:
    assert ColourJitter().channels == 3
    task = Task.model_validate(
        {
            "name": "polyps",
            "labels": ["polyp"],
            "modalities": {"RGB": {"window": [0, 255]}},
            "patch": [16, 16],
            "network": {"channels": [4, 8]},
            "augmentation": ["flip", "colour_jitter"],
        }
    )
    assert [item.name for item in task.augmentation] == ["flip", "colour_jitter"]
