from __future__ import annotations

import numpy as np
import pytest

from flareseg.data.cache import Volume
from flareseg.data.sampling import PatchSampler


def volume(shape: tuple[int, int, int], voxel: tuple[int, int, int] | None = None) -> Volume:
    image = np.arange(1, np.prod(shape) + 1, dtype=np.float32).reshape(1, *shape)
    label = np.zeros((2, *shape), dtype=np.uint8)
    if voxel:
        label[(1, *voxel)] = 1
    return Volume(image, label, np.ones(3, dtype=np.float32), [np.argwhere(mask).astype(np.int32) for mask in label])


@pytest.mark.parametrize("patch", [(16, 16), (16, 16, 16)])
@pytest.mark.parametrize("shape", [(40, 30, 20), (10, 30, 5), (16, 16, 16)])
def test_foreground_patches_hold_the_voxel(patch: tuple[int, ...], shape: tuple[int, int, int]) -> None:
    sampler = PatchSampler([volume(shape, (9, 3, 4))], patch, 1.0, [0, 1])
    batch = sampler.draw(32, np.random.default_rng(0))
    images, labels, spacing = batch.images, batch.labels, batch.spacing
    assert images.shape == (32, 1, *patch)
    assert labels.shape == (32, 2, *patch)
    assert spacing.shape == (32, 3)
    assert (labels[:, 1].reshape(32, -1).sum(1) == 1).all()


def test_image_and_label_are_cut_at_the_same_place() -> None:
    one = volume((40, 30, 20), (9, 3, 4))
    batch = PatchSampler([one], (16, 16), 1.0, [1]).draw(16, np.random.default_rng(0))
    images, labels = batch.images, batch.labels
    assert (images[labels[:, 1:] == 1] == one.image[0, 9, 3, 4]).all()


def test_labels_are_drawn_evenly_whatever_their_size() -> None:
    label = np.zeros((2, 20, 20, 10), dtype=np.uint8)
    label[0, :, :, :9] = 1
    label[1, 5, 5, 9] = 1
    big_and_small = Volume(
        np.zeros((1, 20, 20, 10), dtype=np.float32),
        label,
        np.ones(3, dtype=np.float32),
        [np.argwhere(mask).astype(np.int32) for mask in label],
    )
    sampler = PatchSampler([big_and_small], (20, 20), 1.0, [0, 1])
    labels = sampler.draw(400, np.random.default_rng(0)).labels
    share = labels[:, 1].reshape(400, -1).any(1).mean()
    assert 0.42 < share < 0.58


def test_unannotated_labels_are_no_foreground() -> None:
    sampler = PatchSampler([volume((64, 64, 20), (9, 3, 4))], (16, 16), 1.0, [0])
    labels = sampler.draw(64, np.random.default_rng(0)).labels
    assert labels[:, 1].reshape(64, -1).any(1).mean() < 0.5


def test_the_same_seed_gives_the_same_batch() -> None:
    sampler = PatchSampler([volume((40, 30, 20), (9, 3, 4)), volume((32, 32, 8))], (16, 16), 0.5, [0, 1])
    one, again, other = (sampler.draw(8, np.random.default_rng(seed)).images for seed in (3, 3, 4))
    np.testing.assert_array_equal(one, again)
    assert (one != other).any()
