from __future__ import annotations

import numpy as np
import pytest
import torch
from monai.data import MetaTensor
from monai.transforms import Compose

from flareseg.transforms import RandGIN, RandGINd


@pytest.mark.parametrize("shape", [(4, 1, 16, 12), (2, 1, 8, 8, 6), (3, 2, 9, 9)])  # (B, C, *spatial)
def test_same_seed_same_bits(shape: tuple[int, ...]) -> None:
    x = torch.rand(shape)
    first, again, other = (RandGIN().set_random_state(seed).apply_batch(x) for seed in (3, 3, 4))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_probability_is_per_sample_and_the_rest_stays() -> None:
    x = torch.rand(200, 1, 4, 4)
    transform = RandGIN(prob=0.3).set_random_state(0)
    out = transform.apply_batch(x)
    same = (out == x).flatten(1).all(1)
    assert 0.55 < same.float().mean() < 0.85
    everything = RandGIN(prob=1.0).set_random_state(0).apply_batch(x)
    # The draws of a sample do not depend on which others are chosen.
    assert torch.allclose(out[~same], everything[~same], rtol=1e-5, atol=1e-6)
    assert torch.equal(RandGIN(prob=0.0).apply_batch(x), x)


def test_modes() -> None:
    x = torch.rand(1, 1, 8, 8).expand(4, -1, -1, -1)
    one = RandGIN(mode="per_batch", alpha=(1.0, 1.0)).set_random_state(0).apply_batch(x)
    assert all(torch.equal(one[0], sample) for sample in one)
    each = RandGIN(mode="per_sample", alpha=(1.0, 1.0)).set_random_state(0).apply_batch(x)
    assert not torch.allclose(each[0], each[1])
    some = RandGIN(prob=0.5, mode="per_batch", alpha=(1.0, 1.0)).set_random_state(1).apply_batch(x)
    assert any(torch.equal(sample, x[0]) for sample in some)


def test_settings_reach_the_draws() -> None:
    transform = RandGIN(alpha=(0.2, 0.3), kernel_sizes=(5,), hidden_channels=3, layers=2).set_random_state(0)
    transform.randomize((6, 1, 8, 8))
    assert [tuple(kernel.shape) for kernel in transform._kernels] == [(6, 3, 1, 5, 5), (6, 1, 3, 5, 5)]
    assert 0.2 <= transform._mix.min() <= transform._mix.max() <= 0.3


def test_no_mix_leaves_the_image() -> None:
    x = torch.rand(2, 1, 8, 8)
    assert torch.allclose(RandGIN(alpha=(0.0, 0.0)).apply_batch(x), x, rtol=1e-4)


def test_array_transform() -> None:
    image = MetaTensor(torch.rand(1, 12, 10), affine=torch.eye(4) * 2)
    out = RandGIN().set_random_state(0)(image)
    assert isinstance(out, MetaTensor)
    assert torch.equal(out.affine, image.affine)
    assert out.shape == image.shape
    assert out.dtype == torch.float32
    assert RandGIN()(np.random.default_rng(0).random((1, 6, 6, 6), dtype=np.float32)).shape == (1, 6, 6, 6)


def test_dictionary_transform_and_compose() -> None:
    image = torch.rand(1, 12, 10)
    data = {"image": image, "again": image.clone(), "label": 1}
    transform = RandGINd(("image", "again", "none"), allow_missing_keys=True)
    out = Compose([transform]).set_random_state(5)(data)
    assert torch.equal(out["image"], out["again"])
    assert not torch.equal(out["image"], image)
    assert out["label"] == 1
    assert torch.equal(Compose([transform]).set_random_state(5)(data)["image"], out["image"])
    assert torch.equal(RandGINd("image", prob=0.0, clean_share=0.5)(data)["image"], image)
    assert RandGINd("image", allow_missing_keys=True)({"label": 1}) == {"label": 1}
    with pytest.raises(KeyError, match="none"):
        RandGINd("none")(data)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"prob": 1.5}, "prob should be in .0, 1., got 1.5"),
        ({"mode": "each"}, "mode should be one of per_sample, per_batch, per_volume, got 'each'"),
        ({"alpha": (0.5, 0.2)}, "alpha should be a range"),
        ({"kernel_sizes": (2,)}, "kernel_sizes should be odd"),
        ({"kernel_sizes": ()}, "kernel_sizes should be odd"),
        ({"kernel_sizes": [3.0]}, r"kernel_sizes should be odd whole numbers of at least 1, got \(3.0,\)"),
        ({"kernel_sizes": [True]}, "kernel_sizes should be odd whole numbers"),
        ({"hidden_channels": 2.0}, "hidden_channels should be a whole number of at least 1, got 2.0"),
        ({"layers": 4.0}, "layers should be a whole number of at least 1, got 4.0"),
        ({"hidden_channels": 0}, "hidden_channels should be a whole number of at least 1, got 0"),
        ({"layers": 0}, "layers should be a whole number of at least 1, got 0"),
        ({"clean_share": 1.0}, "clean_share should be in .0, 1., got 1.0"),
        ({"clean_share": 0.25, "mode": "per_volume"}, "clean_share should be 0 with mode 'per_volume', got 0.25"),
    ],
)
def test_refuses(setting: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        RandGIN(**setting)


def test_a_clean_share_of_the_batch_stays() -> None:
    images = torch.rand(8, 1, 16, 16)
    transform = RandGIN(clean_share=0.3).set_random_state(seed=0)
    kept = []
    for _ in range(20):
        result = transform.apply_batch(images)
        same = [torch.equal(one, other) for one, other in zip(images, result, strict=True)]
        assert sum(same) == 2
        kept.append(tuple(same))
    assert len(set(kept)) > 5


def test_slices_of_one_volume_get_one_look() -> None:
    image = torch.rand(1, 1, 16, 16)
    images = image.repeat(6, 1, 1, 1)
    transform = RandGIN(mode="per_volume").set_random_state(seed=0)
    result = transform.apply_batch(images, volumes=[7, 3, 7, 3, 3, 9])
    for one, other in ((0, 2), (1, 3), (1, 4)):
        torch.testing.assert_close(result[one], result[other], rtol=0, atol=1e-6)
    for one, other in ((0, 1), (0, 5), (1, 5)):
        assert (result[one] - result[other]).abs().max() > 1e-3
    whole = transform.apply_batch(images)
    torch.testing.assert_close(whole, whole[:1].expand_as(whole), rtol=0, atol=1e-6)
    some = RandGIN(prob=0.5, mode="per_volume").set_random_state(seed=0)
    changed = [(some.apply_batch(images, volumes=[0, 0, 0, 1, 1, 1]) != images).flatten(1).any(1) for _ in range(20)]
    assert all(len(set(one[:3].tolist())) == 1 == len(set(one[3:].tolist())) for one in changed)
    assert 5 < sum(int(one[0]) + int(one[3]) for one in changed) < 35
    with pytest.raises(ValueError, match="volumes should have shape"):
        transform.apply_batch(images, volumes=[1, 2])


def test_the_second_position_is_the_probability_as_in_monai() -> None:
    image = torch.rand(1, 8, 8)
    assert torch.equal(RandGINd("image", 0.0)({"image": image})["image"], image)
    assert RandGINd("image", 0.25).prob == RandGINd("image", prob=0.25).gin.prob == 0.25
    with pytest.raises(TypeError, match="positional argument"):
        RandGINd("image", 0.5, True)  # type: ignore[misc]


@pytest.mark.parametrize("prob", [0.0, 1.0])
def test_do_transform_says_whether_something_was_applied(prob: float) -> None:
    image = torch.rand(1, 8, 8)
    array, dictionary = RandGIN(prob), RandGINd(["image", "other"], prob, allow_missing_keys=True)
    array(image)
    dictionary({"image": image})
    assert array._do_transform == dictionary._do_transform == (prob == 1.0)
    dictionary({"label": image})
    assert not dictionary._do_transform


def test_the_last_draws_are_used_again_and_for_nothing_else() -> None:
    batch = torch.rand(3, 1, 8, 8)
    transform = RandGIN().set_random_state(0)
    with pytest.raises(RuntimeError, match="nothing was drawn yet"):
        transform.apply_batch(batch, randomize=False)
    with pytest.raises(RuntimeError, match="nothing was drawn yet"):
        RandGIN()(batch[0], randomize=False)
    once = transform.apply_batch(batch)
    assert torch.equal(transform.apply_batch(batch, randomize=False), once)
    assert transform.apply_batch(torch.rand(3, 1, 5, 6), randomize=False).shape == (3, 1, 5, 6)
    for other in (torch.rand(2, 1, 8, 8), torch.rand(3, 2, 8, 8), torch.rand(3, 1, 4, 4, 4)):
        with pytest.raises(ValueError, match="last draws, of 3 samples, 1 channels and 2 spatial axes"):
            transform.apply_batch(other, randomize=False)
