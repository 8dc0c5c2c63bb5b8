"""The container's health check tells a connected site from one that only runs."""

from __future__ import annotations

import importlib.util
import json
import socket
from pathlib import Path
from types import ModuleType

import pytest

FILE = Path(__file__).parents[2] / "provisioning/docker/healthcheck.py"


@pytest.fixture
def health() -> ModuleType:
    specification = importlib.util.spec_from_file_location("healthcheck", FILE)
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def kit(folder: Path, name: str, port: int) -> Path:
    (folder / "startup").mkdir(parents=True)
    content = {"servers": [{"service": {"target": f"localhost:{port}"}}]}
    (folder / "startup" / name).write_text(json.dumps(content))
    return folder


def test_a_site_is_well_while_it_is_connected(health: ModuleType, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        health.PLACES = (kit(tmp_path, "fed_client.json", port),)
        assert "no ESTABLISHED" in health.main()
        with socket.create_connection(("127.0.0.1", port)):
            assert health.main() == ""
        assert "no ESTABLISHED" in health.main()


def test_a_server_is_well_while_it_listens(health: ModuleType, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        health.PLACES = (kit(tmp_path, "fed_server.json", server.getsockname()[1]),)
        assert health.main() == ""
    assert "no LISTEN" in health.main()


def test_no_kit_is_not_well(health: ModuleType, tmp_path: Path) -> None:
    health.PLACES = (tmp_path,)
    assert "no kit in" in health.main()
