"""A slip in privacy.json never means less privacy, and each setting that does not fit a scope is refused by name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from flareseg.config.choices import AUGMENTATIONS
from flareseg.config.task import Task
from flareseg.errors import ErrorCode, FlaresegError, SettingsError
from flareseg.flare.provision.policy import PRIVACY
from flareseg.privacy.scopes import SCOPES, DifferentialPrivacy, Encrypted, load_scope, read_scope

PROPERTIES: dict[str, dict[str, Any]] = {item["name"]: item["properties"] for item in PRIVACY["scopes"]} | {
    "encrypted": {}
}


@pytest.mark.parametrize("name", list(SCOPES))
def test_a_kit_s_scope_can_be_read(name: str) -> None:
    assert read_scope(name, PROPERTIES[name]).name == name


@pytest.mark.parametrize(
    ("name", "properties", "message"),
    [
        ("private", {}, "no scope 'private' is known"),
        ("open", {"max_norm": 1.0}, "max_norm"),
        ("clipped", {}, "max_norm"),
        ("clipped", {"max_norm": 0.0}, "max_norm"),
        ("dp", PROPERTIES["dp"] | {"noise_multiplier": 0.0}, "noise_multiplier"),
        ("dp", PROPERTIES["dp"] | {"delta": 1.0}, "delta"),
        ("dp", PROPERTIES["dp"] | {"epsilon": float("inf")}, "epsilon"),
        ("dp", {"epsilon": 1.0}, "max_grad_norm"),
        ("dp", PROPERTIES["dp"] | {"epsilom": 1.0}, "epsilom"),
        ("statistics", PROPERTIES["statistics"] | {"min_patients": 1}, "min_patients"),
        ("statistics", PROPERTIES["statistics"] | {"noise": [0.0, 0.3]}, "noise"),
        ("statistics", PROPERTIES["statistics"] | {"noise": [0.3, 0.1]}, "should rise"),
        ("statistics", {"noise": [0.1, 0.3], "max_bins_percent": 10}, "min_patients"),
    ],
)
def test_a_slip_is_refused(name: str, properties: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        read_scope(name, properties)


@pytest.mark.parametrize(
    ("scope", "change", "named"),
    [
        ("dp", {}, "fedgs.targets"),
        ("dp", {"network": {"channels": [4, 8], "norm": "batch"}}, "network: unet .*norm batch"),
        ("dp", {"network": {"channels": [4, 8], "norm": "local_batch"}}, "network: unet .*norm local_batch"),
        ("dp", {"augmentation": [{"name": "gin", "clean_share": 0.5}]}, "augmentation: gin .*clean_share 0.5"),
        ("dp", {"network": {"channels": [4, 8], "dropout": 0.1}}, "network: unet .*dropout 0.1"),
        ("dp", {"network": "fedgin_unet"}, "network: fedgin_unet .* mixes patients"),
        ("dp", {"network": "fedgin_unet"}, "network: fedgin_unet .* draws in training"),
        ("dp", {"network": "utnet", "patch": [32, 32]}, "network: utnet .* mixes patients"),
        ("dp", {"network": {"name": "sd_utnet", "image_size": [32, 32]}, "patch": [32, 32]}, "network: sd_utnet"),
        ("dp", {"loss": "cc_dice_ce"}, "loss: cc_dice_ce .* gives no gradient of each patient"),
        ("dp", {"loss": "blob"}, "loss: blob .* gives no gradient of each patient"),
        ("encrypted", {"network": "fedgin_unet"}, "network: fedgin_unet .* counters"),
        ("encrypted", {"network": "utnet", "patch": [32, 32]}, "network: utnet .* counters"),
        (
            "encrypted",
            {"network": {"name": "sd_utnet", "image_size": [32, 32]}, "patch": [32, 32]},
            "network: sd_utnet .* counters",
        ),
        ("dp", {"augmentation": ["flip", "frequency"]}, "augmentation: frequency .* who else is in the batch"),
        ("dp", {"training": {"epochs": 2, "steps": 50}}, "training.epochs: .* how many patients"),
        ("dp", {"optimizer": {"schedule": "plateau"}}, "optimizer.schedule: plateau .* validation patients"),
        ("statistics", {}, "training"),
        ("encrypted", {"aggregation": {"server_momentum": 0.5}}, "server_momentum"),
        ("encrypted", {"fedgs": {"targets": {"lesion": {"threshold": 10}}, "normalize": "mean"}}, "normalize"),
        ("encrypted", {"network": {"channels": [4, 8], "norm": "batch"}}, "network: unet .*norm batch"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(
    task_content: dict[str, Any], scope: str, change: dict[str, Any], named: str
) -> None:
    task = Task.model_validate(task_content | change)
    with pytest.raises(FlaresegError, match=named) as caught:
        read_scope(scope, PROPERTIES[scope]).check(task)
    assert caught.value.code is ErrorCode.SCOPE_MISMATCH


@pytest.mark.parametrize("change", [{"fedgs": None}, {"fedgs": {"constant": 1.3}}, {"fedgs": None, "augmentation": []}])
def test_what_fits_differential_privacy(task_content: dict[str, Any], change: dict[str, Any]) -> None:
    read_scope("dp", PROPERTIES["dp"]).check(Task.model_validate(task_content | change))


@pytest.mark.parametrize("network", ["segresnet", "dynunet", "swin_unetr"])
@pytest.mark.parametrize("loss", ["dice", "dice_ce", "focal_dice", "tversky"])
@pytest.mark.parametrize("scope", ["open", "clipped", "dp", "encrypted"])
def test_what_fits_every_scope(task_content: dict[str, Any], network: str, loss: str, scope: str) -> None:
    change = {"network": network, "loss": loss, "patch": [64, 64], "fedgs": None}
    read_scope(scope, PROPERTIES[scope]).check(Task.model_validate(task_content | change))


LOCAL_WORK: list[dict[str, Any]] = [
    {"training": {"clip_norm": 1.0, "proximal": 0.1}},
    {"optimizer": {"state": "kept", "schedule": "polynomial", "warmup_rounds": 2}},
    {"optimizer": {"schedule": "constant"}},
    {"frozen": ["model.0.*"]},
]


@pytest.mark.parametrize("change", LOCAL_WORK)
@pytest.mark.parametrize("scope", ["open", "clipped", "dp", "encrypted"])
def test_local_work_that_fits_every_scope(task_content: dict[str, Any], change: dict[str, Any], scope: str) -> None:
    read_scope(scope, PROPERTIES[scope]).check(Task.model_validate(task_content | {"fedgs": None} | change))


@pytest.mark.parametrize(
    "change", [{"training": {"epochs": 2, "steps": 50}}, {"optimizer": {"schedule": {"name": "plateau"}}}]
)
@pytest.mark.parametrize("scope", ["open", "clipped", "encrypted"])
def test_local_work_that_fits_all_but_dp(task_content: dict[str, Any], change: dict[str, Any], scope: str) -> None:
    read_scope(scope, PROPERTIES[scope]).check(Task.model_validate(task_content | change))


@pytest.mark.parametrize("scope", ["open", "clipped", "dp", "encrypted"])
def test_augmentations_of_single_samples_fit_every_scope(task_content: dict[str, Any], scope: str) -> None:
    names = [name for name in AUGMENTATIONS.own if name not in ("frequency", "colour_jitter")]
    assert len(names) == len(AUGMENTATIONS.own) - 2
    read_scope(scope, PROPERTIES[scope]).check(
        Task.model_validate(task_content | {"augmentation": names, "fedgs": None})
    )


@pytest.mark.parametrize(
    "change",
    [
        {"network": "fedgin_unet"},
        {"network": "utnet"},
        {"network": {"name": "sd_utnet", "image_size": [32, 32]}, "loss": "sd_utnet"},
        {"loss": "cc_dice_ce"},
        {"loss": "blob"},
        {"augmentation": ["frequency"]},
    ],
)
@pytest.mark.parametrize("scope", ["open", "clipped"])
def test_what_fits_open_and_clipped_updates(task_content: dict[str, Any], change: dict[str, Any], scope: str) -> None:
    read_scope(scope, PROPERTIES[scope]).check(Task.model_validate(task_content | {"patch": [32, 32]} | change))


@pytest.mark.parametrize("scope", ["open", "clipped", "encrypted"])
def test_the_bundle_s_method_fits_the_others(task: Task, scope: str) -> None:
    read_scope(scope, PROPERTIES[scope]).check(task)


def test_a_scope_is_read_from_a_kit(tmp_path: Path) -> None:
    path = tmp_path / "privacy.json"
    path.write_text(json.dumps(PRIVACY))
    assert load_scope(path, DifferentialPrivacy).epsilon == 8
    with pytest.raises(SettingsError, match="no scope encrypted"):
        load_scope(path, Encrypted)
    path.write_text("[]")
    with pytest.raises(SettingsError, match="cannot be read"):
        load_scope(path, DifferentialPrivacy)
