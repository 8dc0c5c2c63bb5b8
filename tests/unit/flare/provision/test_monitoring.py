from __future__ import annotations

from importlib import import_module

import pytest

from flareseg.flare.provision.monitoring import monitoring_components


def test_the_components_exist_and_take_their_arguments() -> None:
    components = monitoring_components("ct-a", "localhost:9125")
    assert len(components) == 3
    for item in components:
        module, _, name = item["path"].rpartition(".")
        assert getattr(import_module(module), name)(**item["args"])
    assert {"host": "localhost", "port": 9125, "site": "ct-a"} in [item["args"] for item in components]


@pytest.mark.parametrize("listener", ["localhost", ":9125", "localhost:", "localhost:statsd"])
def test_a_wrong_listener_is_refused(listener: str) -> None:
    with pytest.raises(ValueError, match="should be host:port"):
        monitoring_components("ct-a", listener)
