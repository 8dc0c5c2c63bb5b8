"""Published networks have the parameters and the stages that their papers state."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from flareseg.config.choices import NETWORKS
from flareseg.config.task import Task
from flareseg.learning.losses.annotated import AnnotatedLoss
from flareseg.learning.predict import predict_logits
from flareseg.networks import build_network
from flareseg.networks.nets.fedgin_unet import FedGINUNet
from flareseg.networks.nets.outputs import Exclusive, Outputs
from flareseg.networks.nets.sd_utnet import SDUTNet
from flareseg.networks.nets.utnet import UTNet

SMALL: dict[str, dict[str, Any]] = {
    "unet": {"channels": [4, 8]},
    "segresnet": {"channels": [8, 16]},
    "dynunet": {"channels": [4, 8, 16]},
    "swin_unetr": {"features": 12},
    "fedgin_unet": {},
    "utnet": {},
    "sd_utnet": {"image_size": [64, 64]},
}


def count(network: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def shapes(network: torch.nn.Module, modules: list[torch.nn.Module], image: torch.Tensor) -> list[tuple[int, ...]]:
    found: list[tuple[int, ...]] = []
    for module in modules:
        module.register_forward_hook(lambda _, __, out: found.append(tuple(out.shape[1:])))
    with torch.no_grad():
        network.eval()(image)
    return found


@pytest.mark.parametrize(
    ("build", "parameters"),
    [
        (lambda: FedGINUNet(1, 1, 0.3), 1_927_841),
        (lambda: UTNet(1, 2), 14_418_140),
        (lambda: UTNet(3, 2), 14_418_788),
        (lambda: UTNet(1, 3), 14_418_140 + 33),
        (lambda: SDUTNet(1, 2, (512, 512)), 18_835_141),
        (lambda: SDUTNet(1, 2, (512, 512)).modality, 4_292_560),
        (lambda: SDUTNet(1, 2, (512, 512)).anatomy, 14_418_338),
        (lambda: SDUTNet(1, 2, (512, 512)).segmentor, 41_986),
        (lambda: SDUTNet(1, 2, (512, 512)).decoder, 82_257),
    ],
)
def test_parameters(build: Any, parameters: int) -> None:
    with torch.device("meta"):
        assert count(build()) == parameters


def test_stages_of_utnet() -> None:
    network = UTNet(1, 2)
    stages = shapes(network, [network.stem, *network.down, *network.up, network.head], torch.rand(1, 1, 256, 256))
    sizes = [32, 64, 128, 256, 512]
    encoder = [(width, 256 >> level, 256 >> level) for level, width in enumerate(sizes)]
    assert stages == [*encoder, *encoder[-2::-1], (2, 256, 256)]


def test_stages_of_fedgin_unet() -> None:
    network = FedGINUNet(1, 1, 0.3)
    stages = shapes(
        network, [*network.down, network.bottleneck, *network.merge, network.head], torch.rand(1, 1, 64, 48)
    )
    assert stages == [
        (32, 64, 48),
        (64, 32, 24),
        (128, 16, 12),
        (256, 8, 6),
        (128, 8, 6),
        (64, 16, 12),
        (32, 32, 24),
        (1, 32, 24),
    ]


def test_exclusive_labels_have_the_probabilities_of_a_softmax() -> None:
    x = torch.randn(2, 4, 5, 6)
    logits = Exclusive(torch.nn.Identity())(x)
    assert isinstance(logits, torch.Tensor)
    torch.testing.assert_close(torch.sigmoid(logits), torch.softmax(x, dim=1)[:, 1:])


@pytest.mark.parametrize("name", SMALL)
def test_every_network_predicts_and_learns(task_content: dict[str, Any], name: str) -> None:
    """In training each parameter gets a gradient from the loss that goes with the network."""
    assert SMALL.keys() == NETWORKS.own.keys()
    loss = "sd_utnet" if name == "sd_utnet" else "dice_ce"
    network = {"name": name, **SMALL[name]}
    task = Task.model_validate(task_content | {"patch": [64, 64], "network": network, "loss": loss})
    module = build_network(task)
    target = torch.zeros(2, 3, 64, 64)
    target[:, :, 8:20, 8:20] = 1
    AnnotatedLoss(task.loss, [0, 1, 2])(module.train()(torch.rand(2, 1, 64, 64)), target).backward()
    dead = [key for key, value in module.named_parameters() if value.grad is None or not value.grad.isfinite().all()]
    assert dead == []
    with torch.no_grad():
        logits = predict_logits(module.eval(), torch.rand(1, 37, 30, 3).numpy(), task)
    assert logits.shape == (3, 37, 30, 3)
    assert logits.isfinite().all()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"network": "utnet", "patch": [16, 16, 16]}, "two numbers .slices. for the network utnet"),
        (
            {"network": "sd_utnet", "loss": "sd_utnet", "patch": [32, 32]},
            "should be network.image_size, 512 by 512",
        ),
        ({"network": "unet", "loss": "sd_utnet", "patch": [32, 32]}, "the loss sd_utnet needs code, .* network unet"),
        ({"network": "swin_unetr", "patch": [48, 48]}, "multiple of 32"),
        ({"network": "swin_unetr", "patch": [32, 32]}, "lowest level would be one voxel"),
        ({"network": {"name": "dynunet", "strides": [[2, 2]]}}, "strides should be 3"),
        (
            {"network": {"name": "dynunet", "channels": [4, 8, 8], "strides": [[2, 2], [2, 2]]}, "patch": [16, 16, 16]},
            "network.strides should have 3 numbers",
        ),
        (
            {
                "network": {"name": "dynunet", "channels": [4, 8, 8], "strides": [[3, 2, 1], [1, 1, 1]]},
                "patch": [16, 16, 17],
            },
            "multiple of 3 along the axis of 16",
        ),
    ],
)
def test_what_does_not_fit_is_refused(task_content: dict[str, Any], change: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Task.model_validate(task_content | change)


def test_an_axis_of_thick_slices_is_not_halved(task_content: dict[str, Any]) -> None:
    network = {"name": "dynunet", "channels": [4, 8, 16], "strides": [[2, 2, 1], [2, 2, 2]]}
    task = Task.model_validate(task_content | {"network": network, "patch": [16, 16, 18]})
    assert task.network.divisor == 4
    module = build_network(task)
    assert module(torch.rand(1, 1, 16, 16, 18)).shape == (1, 3, 16, 16, 18)
    weights = (value for name, value in module.named_parameters() if name.endswith("conv1.conv.weight"))
    kernels = [tuple(value.shape[2:]) for value in weights]
    assert {(3, 3, 1), (3, 3, 3)} == set(kernels)


def test_sd_utnet_gives_more_in_training_only() -> None:
    network = SDUTNet(1, 2, (32, 32))
    image = torch.rand(2, 1, 32, 32)
    outputs = network.train()(image)
    assert isinstance(outputs, Outputs)
    assert outputs.more["reconstruction"].shape == image.shape
    assert outputs.more["code"].shape == outputs.more["code_again"].shape == (2, 8)
    assert isinstance(network.eval()(image), torch.Tensor)
