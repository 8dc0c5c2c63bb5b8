"""Parts that a task chooses by name: each has its own keys, says what it is, and is held to it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from flareseg.config.choices import SEAMS, Network
from flareseg.config.task import Task, load_task
from flareseg.config.words import describe_augmentation, describe_network, describe_optimisation
from flareseg.errors import SettingsError
from flareseg.networks import build_network
from flareseg.networks.unet import UNet

JOBS = Path(__file__).parents[3] / "jobs"
PARTS = [(seam, name) for seam in SEAMS.values() for name in seam.own]


@pytest.mark.parametrize(("seam", "name"), PARTS, ids=[name for _, name in PARTS])
def test_a_part_names_itself_as_it_is_listed(seam: Any, name: str) -> None:
    part = seam.load(name)
    assert part.model_fields["name"].default == name
    assert part.__doc__


def test_a_name_alone_stands_for_its_defaults(task_content: dict[str, Any]) -> None:
    short = Task.model_validate(task_content | {"loss": "dice", "optimizer": "sgd", "augmentation": ["gin"]})
    long = Task.model_validate(task_content | {"loss": {"name": "dice"}, "optimizer": {"name": "sgd"}})
    assert short == long


@pytest.mark.parametrize("name", [path.name for path in JOBS.iterdir()])
def test_a_task_survives_its_record(name: str) -> None:
    task = load_task(JOBS / name / "app/config/task.yaml")
    again = Task.model_validate(task.model_dump(mode="json"))
    assert again == task
    assert again.digest() == task.digest()


def test_reading_a_task_needs_no_pytorch() -> None:
    code = (
        "import sys; from pathlib import Path; from flareseg.config.task import load_task; "
        f"load_task(Path({str(JOBS / 'fedgin-fedgs/app/config/task.yaml')!r})); "
        "sys.exit(' '.join({'torch', 'monai'} & sys.modules.keys()) or None)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_only_keys_that_count_are_described(task_content: dict[str, Any]) -> None:
    task = Task.model_validate(
        task_content
        | {"network": {"name": "segresnet", "channels": [8, 16]}, "loss": "dice", "optimizer": {"name": "adam"}}
    )
    assert describe_network(task) == "segresnet (channels 8, 16; dropout 0), 2D."
    assert describe_optimisation(task) == (
        "Loss dice (smooth 1e-05); optimiser adam (lr 0.001; weight_decay 1e-05; schedule cosine; warmup_rounds 0; "
        "state fresh)."
    )
    assert describe_augmentation(task).startswith("gin (probability 1; kernels per_sample; ")
    assert "None" in describe_augmentation(Task.model_validate(task_content | {"augmentation": []}))


class Quiet(UNet):
    """A UNet that denies what it does."""

    @property
    def mixes_samples(self) -> bool:
        return False

    @property
    def stochastic(self) -> bool:
        return False


@pytest.mark.parametrize(
    ("settings", "words"), [({"norm": "batch"}, "mixes_samples is false"), ({"dropout": 0.1}, "stochastic is false")]
)
def test_a_network_is_held_to_what_it_says(task: Task, settings: dict[str, Any], words: str) -> None:
    wrong = task.model_copy(update={"network": Quiet(channels=(4, 8), **settings)})
    with pytest.raises(SettingsError, match=words):
        build_network(wrong)


class Tied(UNet):
    """A UNet that gives its layers twice."""

    def build(self, spatial_dims: int, in_channels: int, out_channels: int) -> torch.nn.Module:
        network = super().build(spatial_dims, in_channels, out_channels)
        network.again = network.model  # type: ignore[assignment]
        return network


def test_a_parameter_under_two_names_is_refused(task: Task) -> None:
    with pytest.raises(SettingsError, match="under a second name, which would travel twice"):
        build_network(task.model_copy(update={"network": Tied(channels=(4, 8))}))


class Flat(Network):
    """A network for slices."""

    name: str = "flat"
    spatial_dims = (2,)

    @property
    def divisor(self) -> int:
        return 1

    @property
    def mixes_samples(self) -> bool:
        return False

    def build(self, spatial_dims: int, in_channels: int, out_channels: int) -> torch.nn.Module:
        return torch.nn.Conv2d(in_channels, out_channels, 1)


def test_a_network_for_slices_is_not_given_volumes(task_content: dict[str, Any]) -> None:
    assert Task.model_validate(task_content | {"network": Flat()}).network.divisor == 1
    with pytest.raises(ValueError, match=r"two numbers \(slices\) for the network flat"):
        Task.model_validate(task_content | {"network": Flat(), "patch": [16, 16, 16]})
