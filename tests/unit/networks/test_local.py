from __future__ import annotations

from typing import Any

import pytest
from torch.nn.modules.batchnorm import _BatchNorm

from flareseg.config.task import Task
from flareseg.errors import SettingsError
from flareseg.networks import build_network, local_names


def names(content: dict[str, Any], **network: Any) -> tuple[frozenset[str], set[str]]:
    """What is local, and the whole state."""
    patterns = network.pop("local_parameters", [])
    task = Task.model_validate(content | {"network": {"channels": [4, 8], **network}, "local_parameters": patterns})
    built = build_network(task)
    return local_names(built, task), set(built.state_dict())


@pytest.mark.parametrize("patch", [[16, 16], [16, 16, 16]])
def test_local_batch_norm_is_every_statistic_and_affine_parameter(
    task_content: dict[str, Any], patch: list[int]
) -> None:
    local, state = names(task_content | {"patch": patch}, norm="local_batch")
    assert local == {name for name in state if ".adn.N." in name}
    network = build_network(Task.model_validate(task_content | {"network": {"channels": [4, 8], "norm": "batch"}}))
    assert len(local) == 5 * sum(isinstance(module, _BatchNorm) for module in network.modules())


@pytest.mark.parametrize(
    ("patterns", "expected"),
    [
        ([], lambda name: False),
        (["*.adn.N.*"], lambda name: ".adn.N." in name),
        (["model.2.*", "*.bias"], lambda name: name.startswith("model.2.") or name.endswith(".bias")),
        (["model.?.conv.unit0.conv.weight"], lambda name: name == "model.0.conv.unit0.conv.weight"),
    ],
)
def test_patterns(task_content: dict[str, Any], patterns: list[str], expected: Any) -> None:
    local, state = names(task_content, local_parameters=patterns)
    assert local == {name for name in state if expected(name)}


def test_patterns_and_batch_norm_add_up(task_content: dict[str, Any]) -> None:
    local, state = names(task_content, norm="local_batch", local_parameters=["model.2.*"])
    assert local == {name for name in state if ".adn.N." in name or name.startswith("model.2.")}


@pytest.mark.parametrize(
    ("patterns", "words"),
    [(["*.head.*"], r"'\*\.head\.\*' matches nothing"), (["*"], "leave a parameter to be shared")],
)
def test_refuses(task_content: dict[str, Any], patterns: list[str], words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        names(task_content, local_parameters=patterns)
