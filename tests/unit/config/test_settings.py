from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from flareseg.cli.settings import rows
from flareseg.config.settings import load_settings, read_json, set_key
from flareseg.config.site import Site, check_site_fits, load_site
from flareseg.config.task import Task, load_task
from flareseg.errors import SettingsError
from flareseg.networks.unet import UNet

JOBS = sorted((Path(__file__).parents[3] / "jobs").glob("*/app/config/task.yaml"))


def write(path: Path, content: object) -> Path:
    path.write_text(yaml.safe_dump(content))
    return path


@pytest.mark.parametrize("path", JOBS, ids=lambda path: path.parts[-4])
def test_tasks_of_the_jobs_are_valid(path: Path) -> None:
    assert load_task(path).labels


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"rounds": 3}, ["rounds: unknown key"]),
        ({"patch": [15, 16]}, ["patch", "at least 16", "15"]),
        ({"patch": [17, 16]}, ["multiple of 2"]),
        ({"labels": ["liver", "liver"]}, ["labels: names should be distinct"]),
        ({"labels": None}, ["labels"]),
        ({"network": {"name": "monai.networks.nets.UNet"}}, ["network", "there are unet, segresnet"]),
        ({"modalities": {"CT": {"window": [1, 0]}}}, ["modalities.CT", "less than the second"]),
        ({"modalities": {"CT": {}}}, ["either window or percentiles"]),
        ({"fedgs": {"targets": {"tumour": {}}}}, ["tumour"]),
        (
            {"augmentation": [{"name": "gin", "mixing": [0.9, 0.1]}]},
            ["augmentation.0.mixing: should rise, got 0.9 and 0.1"],
        ),
        (
            {"augmentation": [{"name": "gin", "clean_share": 0.25, "kernels": "per_volume"}]},
            ["augmentation.0", "clean_share cannot be kept"],
        ),
        ({"training": {"rounds": 0}}, ["training.rounds", "0"]),
        ({"fedgs": {"constant": 1.3, "normalize": "mean"}}, ["would undo a constant"]),
        ({"network": {"norm": "batch", "batch_norm": "local"}}, ["network", "local_batch (stays at each site)"]),
        ({"gin": {"probability": 1.0}}, ["augmentation: [{name: gin, ...}]"]),
        ({"augmentation": [{}]}, ["augmentation.0", "should have a name, one of gin"]),
        ({"augmentation": {"name": "gin"}}, ["augmentation"]),
        ({"network": 3}, ["network", "should be the name of a network, or a mapping"]),
        ({"network": {"name": "segresnet", "norm": "batch"}}, ["network", "segresnet has no norm; it has channels"]),
        ({"network": {"name": "segresnet", "channels": [8, 24]}}, ["network.channels", "twice the one before: 8, 16"]),
        ({"network": {"name": "segresnet", "channels": [4, 8]}}, ["network.channels", "multiple of 8"]),
        ({"loss": {"name": "dice", "ce_weight": 1.0}}, ["loss", "dice has no ce_weight; it has smooth"]),
        ({"optimizer": {"name": "adamw", "momentum": 0.9}}, ["optimizer", "adamw has no momentum"]),
        ({"optimizer": {"lr": 0}}, ["optimizer.lr", "more than 0"]),
    ],
)
def test_a_wrong_task_is_refused_with_file_and_key(
    tmp_path: Path, task_content: dict[str, Any], change: dict[str, Any], words: list[str]
) -> None:
    path = write(tmp_path / "task.yaml", task_content | change)
    with pytest.raises(SettingsError) as error:
        load_task(path)
    for word in [str(path), *words]:
        assert word in str(error.value)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"a: [", "is not YAML"),
        (b"- 1", "expected a mapping"),
        (b"\xff\xfe\x00", "cannot be read"),
        (None, "no such file"),
    ],
)
def test_a_file_that_is_no_settings_file(tmp_path: Path, content: bytes | None, words: str) -> None:
    path = tmp_path / "task.yaml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SettingsError, match=words):
        load_task(path)


_LEVELS = "\n".join(f"{c}: &{c} [{', '.join(['*' + b] * 9)}]" for b, c in zip("abcdef", "bcdefg", strict=True))
HOSTILE_YAML = {
    "alias bomb": f"a: &a [{', '.join('x' * 9)}]\n{_LEVELS}\nmodalities: *g\nlabels: *g\n",
    "a day that is none": "name: 2024-02-30",
    "a number of 4400 digits": "name: " + "9" * 4400,
    "a number of 36000 bits": "name: 0x" + "f" * 9000,
    "deep nesting": "name: " + "[" * 3000,
    "a surrogate": 'labels: ["\\ud800"]\nname: "\\ud800"\n"\\ud800": 3',
    "escape sequences": 'name: "\\e[2J"\n"\\e[2J\\n": 1',
    "tags": "name: !!timestamp x",
    "empty numbers": "name: !!int ''",
    "a long key": "'" + "k" * 100_000 + "': 1",
}


@pytest.mark.parametrize("text", HOSTILE_YAML.values(), ids=HOSTILE_YAML)
def test_hostile_yaml_ends_in_one_short_line(tmp_path: Path, text: str) -> None:
    path = tmp_path / "task.yaml"
    path.write_text(text)
    for load in (load_task, load_site):
        with pytest.raises(SettingsError) as error:
            load(path)
        assert len(str(error.value)) < 2000
        assert str(error.value).isprintable()


@pytest.mark.parametrize(
    "value", ["!!timestamp 2024-02-30", "[" * 3000, "!!int ''", "9" * 4400], ids=lambda value: value[:12]
)
def test_hostile_changes_end_in_one_short_line(value: str) -> None:
    with pytest.raises(SettingsError, match="is not a YAML value") as error:
        set_key({}, f"name={value}")
    assert len(str(error.value)) < 2000


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"{", "is not JSON"),
        (b"[1]", "expected a JSON object, found list"),
        (b"\xff", "cannot be read"),
        (b"9" * 5000, "is not JSON"),
        (b"[" * 100_000, "is not JSON"),
        (b'{"a":' * 500 + b"1" + b"}" * 500, "nested more than 64 levels deep"),
    ],
)
def test_what_is_no_json_object_is_refused(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "meta.json"
    path.write_bytes(content)
    with pytest.raises(SettingsError, match=words) as error:
        read_json(path)
    assert len(str(error.value)) < 2000


def test_one_site_file_serves_tasks_with_fewer_labels(tmp_path: Path, task: Task) -> None:
    content = {
        "modality": "CT",
        "data": {"root": "x", "datalist": "d"},
        "labels": {"liver": 1, "spleen": None, "lesion": 3, "heart": 4},
    }
    path = write(tmp_path / "site.yaml", content)
    check_site_fits(load_site(path), task, path)


RGB: dict[str, Any] = {
    "name": "polyps",
    "labels": ["polyp"],
    "modalities": {"RGB": {"window": [0, 255]}},
    "patch": [16, 16],
    "network": {"channels": [4, 8]},
}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"modalities": RGB["modalities"] | {"CT": {"window": [0, 1]}}}, "should be the only modality"),
        ({"patch": [16, 16, 16]}, "patch should be two numbers"),
        ({"spacing": [1, 1, None]}, "have no mm"),
        ({"lesion": {"label": "polyp", "small_mm": 5}}, "have no mm"),
        ({"lesion": {"label": "polyp", "small_mm": 5, "small_px": 5}}, "either small_mm or"),
        ({"fedgs": {"targets": {"polyp": {"largest_mm2": 5}}}}, "have no mm"),
        ({"modalities": {"CT": {"window": [0, 1]}}, "resize": [16, 16]}, "are for RGB frames"),
        ({"modalities": {"CT": {"window": [0, 1]}}, "lesion": {"label": "polyp", "small_px": 5}}, "are for RGB frames"),
    ],
)
def test_photographs_have_neither_mm_nor_depth(tmp_path: Path, change: dict[str, Any], words: str) -> None:
    load_settings(Task, tmp_path / "task.yaml", RGB)
    with pytest.raises(SettingsError, match=words):
        load_settings(Task, tmp_path / "task.yaml", RGB | change)


def test_every_setting_has_a_meaning() -> None:
    meanings = {key: meaning for model in (Task, Site) for key, _, meaning in rows(model)}
    assert [key for key, meaning in meanings.items() if not meaning] == []
    assert {"fedgs.targets.<name>.largest_mm3", "fedgs.constant", "local_parameters"} <= meanings.keys()


def test_the_digest_follows_settings_not_writing(tmp_path: Path, task_content: dict[str, Any]) -> None:
    one = load_task(write(tmp_path / "a.yaml", task_content))
    other = load_task(write(tmp_path / "b.yaml", dict(reversed(task_content.items()))))
    changed = load_task(write(tmp_path / "c.yaml", task_content | {"augmentation": []}))
    assert one.digest() == other.digest() != changed.digest()


def test_set_key_reaches_into_the_task(tmp_path: Path, task_content: dict[str, Any]) -> None:
    for change in ("training.steps=7", "augmentation=[]", "network.channels=[4, 8, 16]"):
        set_key(task_content, change)
    task = load_settings(Task, tmp_path / "task.yaml", task_content)
    assert (task.training.steps, task.augmentation, task.network) == (7, (), UNet(channels=(4, 8, 16)))


@pytest.mark.parametrize("change", ["training.steps", "=3", "name.deeper=1", "augmentation=[1"])
def test_a_change_that_cannot_be_made(task_content: dict[str, Any], change: str) -> None:
    with pytest.raises(SettingsError, match="--set"):
        set_key(task_content, change)


def test_site_paths_are_taken_from_its_file(tmp_path: Path) -> None:
    content = {
        "modality": "CT",
        "data": {"root": "images", "datalist": "d.json"},
        "labels": {"liver": [1, 4], "spleen": 2, "lesion": None},
    }
    site = load_site(write(tmp_path / "site.yaml", content))
    assert site.data.root == tmp_path / "images"
    assert site.labels == {"liver": (1, 4), "spleen": (2,), "lesion": None}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"modality": "RGB", "labels": {"liver": 1}}, "takes CT, MR"),
        ({"labels": {"liver": 1, "spleen": 2}}, "missing: lesion"),
        (
            {"labels": {"liver": None, "spleen": None, "lesion": None, "heart": 4}},
            "every label of the task tiny is null",
        ),
        ({"modality": "RGB", "labels": {"liver": 1}, "intensity": {"slope": 2}}, "intensity: is for CT and MR"),
        ({"data": {"root": "x", "images": "*"}}, "either images and labels"),
        ({"data": {"root": "x", "datalist": "d", "images": "*", "labels": "*"}}, "either images and labels"),
        ({"extra": 1}, "extra: unknown key"),
    ],
)
def test_a_wrong_site_is_refused(tmp_path: Path, task: Task, change: dict[str, Any], words: str) -> None:
    content = {
        "modality": "CT",
        "data": {"root": "x", "datalist": "d"},
        "labels": {"liver": 1, "spleen": 2, "lesion": 3},
    }
    path = write(tmp_path / "site.yaml", content | change)
    with pytest.raises(SettingsError, match=words):
        check_site_fits(load_site(path), task, path)
