"""A federation of real NVFlare processes on loopback, started once for the tests that share it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeVar

import pytest

from faults.ward import Ward
from federation import PROJECT, Federation, tiny_sites
from flareseg.poc.run import Plan, start_federation
from flareseg.poc.workspace import PocWorkspace
from flareseg.processes import processes_of
from secure_federation import SecureFederation


@pytest.fixture(scope="session")
def federation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Federation]:
    """One server, ct-a, ct-b and mr-a, with small data."""
    folder = tmp_path_factory.mktemp("federation")
    workspace = PocWorkspace(folder / "run")
    sites = tiny_sites(folder / "sites")
    try:
        start_federation(workspace, Plan(PROJECT, sites), lambda message: None)
        yield Federation(workspace, sites)
    finally:
        workspace.stop()
        assert not processes_of(workspace.poc)


AnyFederation = TypeVar("AnyFederation", bound=SecureFederation)


def _running(federation: AnyFederation) -> Iterator[AnyFederation]:
    try:
        federation.provision()
        federation.start()
        yield federation
    finally:
        federation.close()


@pytest.fixture(scope="session")
def secure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecureFederation]:
    """A provisioned federation over TLS: localhost, hospital-a, hospital-b and hospital-c, with small data."""
    yield from _running(SecureFederation(tmp_path_factory.mktemp("secure") / "run"))


@pytest.fixture(scope="session")
def ward(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ward]:
    """Four hospitals to which faults happen; every fault leaves them registered and idle."""
    yield from _running(Ward(tmp_path_factory.mktemp("ward") / "run"))
