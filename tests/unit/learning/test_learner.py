from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from flareseg.augmentations.gin import GIN
from flareseg.config.choices import Loss
from flareseg.config.site import load_site
from flareseg.config.task import Task
from flareseg.data.site_data import SiteData
from flareseg.errors import ErrorCode, FlaresegError
from flareseg.learning.gradient_scale import GradientScale
from flareseg.learning.learner import Learner, Stopped, TrainingResult
from flareseg.learning.losses.annotated import AnnotatedLoss, AnnotatedLossOfVolume
from flareseg.learning.losses.dice import Dice, DiceCE
from flareseg.learning.predict import predict_logits
from flareseg.networks import build_network, initial_state
from flareseg.transforms import RandGIN
from tiny import write_tiny_site


def learner(task: Task, site_file: Path, name: str = "site") -> Learner:
    return Learner(task, SiteData(task, load_site(site_file), site_file.parent / "cache"), name)


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(one[key], other[key]) for key in one)


def test_a_rerun_is_the_same_to_the_last_bit(task: Task, site_file: Path) -> None:
    state = initial_state(task)
    busy = learner(task, site_file)
    busy.train(state, 5)  # what happened before must not matter
    torch.rand(3)
    assert same(busy.train(state, 1).update, learner(task, site_file).train(state, 1).update)


@pytest.mark.parametrize(("round_number", "name", "seed"), [(1, "site", 0), (0, "other", 0), (0, "site", 1)])
def test_round_site_and_seed_each_change_the_draws(
    task: Task, site_file: Path, round_number: int, name: str, seed: int
) -> None:
    state = initial_state(task)
    changed = task.model_copy(update={"training": task.training.model_copy(update={"seed": seed})})
    one = learner(task, site_file).train(state, 0).update
    assert not same(one, learner(changed, site_file, name).train(state, round_number).update)


def test_update_is_local_minus_global_without_scaling_and_decay(task_content: dict[str, Any], site_file: Path) -> None:
    plain = Task.model_validate(task_content | {"fedgs": None, "optimizer": {"weight_decay": 0.0}})
    one = learner(plain, site_file)
    state = initial_state(plain)
    result = one.train(state, 0)
    assert result.mean_scale == 1.0
    assert result.steps == plain.training.steps
    local = one.network.state_dict()
    for name, update in result.update.items():
        torch.testing.assert_close(update, local[name] - state[name], rtol=0, atol=2e-6)


def test_batch_norm_statistics_travel_as_change(task_content: dict[str, Any], site_file: Path) -> None:
    task = Task.model_validate(task_content | {"network": {"channels": [4, 8], "norm": "batch"}})
    one = learner(task, site_file)
    state = initial_state(task)
    result = one.train(state, 0)
    assert result.update.keys() == state.keys()
    buffers = [name for name, _ in one.network.named_buffers()]
    assert any("running_var" in name for name in buffers)
    for name in buffers:
        change = result.update[name]
        torch.testing.assert_close(state[name] + change, one.network.state_dict()[name])
        assert change.dtype == state[name].dtype


def test_small_targets_scale_the_batch(task: Task) -> None:
    labels = np.zeros((2, 3, 32, 32), dtype=np.uint8)
    labels[0, 2, :2, :2] = 1
    spacing = np.ones((2, 3), dtype=np.float32)
    eta = GradientScale(task)(labels, spacing, [0, 1, 2])
    delta = np.tanh((np.log(1024 / 4) / np.log(100)) ** 2)
    assert eta == pytest.approx(1 + delta)
    assert GradientScale(task)(labels, spacing, [0, 1]) == 1.0


@pytest.mark.parametrize(
    "gin",
    [
        {"kernels": "per_volume", "probability": 0.9, "mixing": [0.2, 0.8], "kernel_sizes": [3], "layers": 2},
        {"kernels": "per_sample", "clean_share": 0.5, "hidden_channels": 3},
        {"kernels": "per_batch"},
    ],
    ids=lambda gin: gin["kernels"],
)
def test_gin_of_the_task_reaches_the_batches(
    task_content: dict[str, Any], site_file: Path, gin: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    used: list[tuple[RandGIN, np.ndarray, torch.Tensor, torch.Tensor]] = []
    apply = RandGIN.apply_batch

    def watched(self: RandGIN, images: torch.Tensor, volumes: np.ndarray) -> torch.Tensor:
        changed = apply(self, images, volumes=volumes)
        used.append((self, volumes, (changed == images).flatten(1).all(1), self._mix.clone()))
        return changed

    monkeypatch.setattr(RandGIN, "apply_batch", watched)
    training = {**task_content["training"], "batch_size": 8}
    task = Task.model_validate(task_content | {"augmentation": [{"name": "gin", **gin}], "training": training})
    learner(task, site_file).train(initial_state(task), 0)
    assert len(used) == 3
    (expected,) = task.augmentation
    assert isinstance(expected, GIN)
    for transform, volumes, clean, mix in used:
        assert (transform.prob, transform.mode) == (expected.probability, expected.kernels)
        assert (transform.alpha, transform.kernel_sizes) == (expected.mixing, expected.kernel_sizes)
        assert (transform.hidden_channels, transform.layers) == (expected.hidden_channels, expected.layers)
        assert bool(((mix >= expected.mixing[0]) & (mix <= expected.mixing[1])).all())
        if expected.clean_share:
            assert int(clean.sum()) == 4
        if expected.kernels == "per_volume":
            assert 1 < len(set(volumes)) < len(volumes)
            for volume in set(volumes):
                own = torch.from_numpy(volumes == volume)
                assert len(mix[own].unique()) == len(clean[own].unique()) == 1


def test_each_augmentation_has_a_stream_of_its_own(task_content: dict[str, Any], site_file: Path) -> None:
    """What stands beside GIN does not change its draws, a second GIN has others, FedGS sees moved labels."""
    gin = {"name": "gin"}

    def trained(*augmentation: dict[str, Any]) -> TrainingResult:
        task = Task.model_validate(task_content | {"augmentation": augmentation})
        return learner(task, site_file).train(initial_state(task), 0)

    alone = trained(gin)
    assert same(
        alone.update, trained({"name": "flip", "probability": 0.0}, gin, {"name": "noise", "probability": 0.0}).update
    )
    assert not same(alone.update, trained(gin, gin).update)
    assert not same(trained().update, alone.update)
    away = {"name": "scaling", "probability": 1.0, "factors": [8, 8]}
    assert alone.mean_scale > trained(away).mean_scale


def test_training_stops_within_one_batch(task: Task, site_file: Path) -> None:
    asked = iter([False, False, True])
    with pytest.raises(Stopped):
        learner(task, site_file).train(initial_state(task), 0, lambda: next(asked))
    with pytest.raises(Stopped):
        learner(task, site_file).validate(initial_state(task), "validation", lambda: True)


def test_learning_helps(task_content: dict[str, Any], site_file: Path) -> None:
    settings = {"steps": 60, "batch_size": 4}
    task = Task.model_validate(task_content | {"augmentation": [], "training": settings, "optimizer": {"lr": 0.01}})
    one = learner(task, site_file)
    state = initial_state(task)
    before = one.validate(state, "testing")
    result = one.train(state, 0)
    after = one.validate({k: v + result.update[k] for k, v in state.items()}, "testing")
    assert after.dice["liver"].mean > max(0.8, before.dice["liver"].mean + 0.3)
    assert after.dice["liver"].volumes == 1


def test_a_label_the_site_lacks_is_neither_trained_nor_scored(task: Task, tmp_path: Path) -> None:
    site_file = write_tiny_site(tmp_path)
    site_file.write_text(site_file.read_text().replace("spleen: 2", "spleen: null"))
    one = learner(task, site_file)
    state = initial_state(task)
    assert set(one.validate(state).dice) == {"liver", "lesion"}
    last = [name for name in state if name.endswith("weight")][-1]
    head = one.train(state, 0).update[last]
    channel = head.shape.index(len(task.labels))
    assert (head.select(channel, 1) == 0).all()


def test_an_exploding_loss_is_told(task_content: dict[str, Any], site_file: Path) -> None:
    task = Task.model_validate(task_content | {"optimizer": {"lr": 1e30, "name": "sgd"}})
    with pytest.raises(FlaresegError, match="training loss of round 0") as error:
        learner(task, site_file).train(initial_state(task), 0)
    assert error.value.code is ErrorCode.DIVERGED


@pytest.mark.parametrize("patch", [[16, 16], [16, 16, 16]])
@pytest.mark.parametrize("name", ["unet", "segresnet"])
def test_predictions_have_the_volume_s_shape(task_content: dict[str, Any], patch: list[int], name: str) -> None:
    task = Task.model_validate(task_content | {"patch": patch, "network": {"name": name, "channels": [8, 16]}})
    network = build_network(task).eval()
    with torch.no_grad():
        logits = predict_logits(network, torch.rand(1, 21, 17, 7).numpy(), task)
    assert logits.shape == (3, 21, 17, 7)


def test_three_dimensional_validation_stops_between_windows(task_content: dict[str, Any], site_file: Path) -> None:
    task = Task.model_validate(task_content | {"patch": [16, 16, 16]})
    asked: list[None] = []

    def stop() -> bool:
        asked.append(None)
        return len(asked) == 2

    with pytest.raises(Stopped):
        learner(task, site_file).validate(initial_state(task), should_stop=stop)
    assert len(asked) == 2


@pytest.mark.parametrize("settings", [Dice(), DiceCE(ce_weight=0.7)], ids=lambda item: item.name)
def test_the_loss_of_parts_is_the_loss_of_the_whole(settings: Loss) -> None:
    torch.manual_seed(0)
    logits, target = torch.randn(3, 9, 8, 10), (torch.rand(3, 9, 8, 10) > 0.8).to(torch.uint8)
    loss = AnnotatedLoss(settings, [0, 2])
    parts = AnnotatedLossOfVolume(loss)
    for start in (0, 4, 8):
        parts.add(logits[..., start : start + 4], target[..., start : start + 4])
    assert parts.value() == pytest.approx(float(loss(logits[None], target[None])), rel=1e-5)


def test_three_dimensional_patches_train(task_content: dict[str, Any], site_file: Path) -> None:
    task = Task.model_validate(task_content | {"patch": [16, 16, 16]})
    one = learner(task, site_file)
    assert one.train(initial_state(task), 0).steps == 3
    assert one.validate(initial_state(task)).dice["liver"].volumes == 1


def test_initial_weights_come_from_the_seed_alone(task: Task) -> None:
    before = torch.random.get_rng_state()
    one = initial_state(task)
    assert torch.equal(before, torch.random.get_rng_state())
    torch.manual_seed(99)
    assert same(one, initial_state(task))


@pytest.mark.parametrize(
    "settings",
    [{"network": {"channels": [4, 8], "norm": "local_batch"}}, {"local_parameters": ["*.bias"]}],
    ids=["batch norm", "pattern"],
)
def test_local_parameters_stay_and_start_from_the_global_value(
    task_content: dict[str, Any], site_file: Path, settings: dict[str, Any]
) -> None:
    task = Task.model_validate(task_content | settings)
    one = learner(task, site_file)
    state = initial_state(task)
    assert one.local == {}
    result = one.train(state, 0)
    assert one.local
    assert not one.local.keys() & result.update.keys()
    assert one.local.keys() | result.update.keys() == state.keys()
    assert any(not torch.equal(value, state[name]) for name, value in one.local.items())
    restarted = learner(task, site_file)
    restarted.local = {name: value.clone() for name, value in one.local.items()}
    assert same(restarted.train(state, 1).update, one.train(state, 1).update)
    assert not same(learner(task, site_file).train(state, 1).update, restarted.train(state, 1).update)
    one.validate(state)
    assert same(one.local, {name: one.network.state_dict()[name] for name in one.local})
