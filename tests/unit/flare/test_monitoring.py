from __future__ import annotations

from importlib import import_module
from typing import Any

import pytest

from flareseg.flare.monitoring import monitored


def test_the_components_exist_and_take_their_arguments() -> None:
    resources: dict[str, Any] = {"components": []}
    monitored(resources, "ct-a", "localhost:9125")
    assert len(resources["components"]) == 3
    for item in resources["components"]:
        module, _, name = item["path"].rpartition(".")
        assert getattr(import_module(module), name)(**item["args"])
    assert {"host": "localhost", "port": 9125, "site": "ct-a"} in [item["args"] for item in resources["components"]]


@pytest.mark.parametrize("listener", ["localhost", ":9125", "localhost:", "localhost:statsd"])
def test_a_wrong_listener_is_refused(listener: str) -> None:
    with pytest.raises(ValueError, match="should be host:port"):
        monitored({"components": []}, "ct-a", listener)
