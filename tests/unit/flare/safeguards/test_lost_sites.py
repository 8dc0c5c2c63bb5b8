"""What the server's parent process does about sites that it loses."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from nvflare.apis.event_type import EventType
from nvflare.apis.fl_constant import ConfigVarName, ReservedKey, SystemConfigs
from nvflare.apis.fl_context import FLContext
from nvflare.fuel.utils.config_service import ConfigService

from flareseg.flare.safeguards.lost_sites import OUTCOME_SECONDS, LostSites

REPOSITORY = Path(__file__).parents[4]


@pytest.fixture(autouse=True)
def _fresh_settings() -> Iterator[None]:
    ConfigService.reset()
    yield
    ConfigService.reset()


def test_a_site_that_never_named_the_job_is_missed_too() -> None:
    name, section = ConfigVarName.SYNC_CLIENT_JOBS_REQUIRE_PREVIOUS_REPORT, SystemConfigs.APPLICATION_CONF
    LostSites()
    assert ConfigService.get_bool_var(name, section, default=True) is False
    outcome = ConfigService.get_float_var(ConfigVarName.CLIENT_OUTCOME_WAIT_TIMEOUT, section, default=900.0)
    assert outcome == OUTCOME_SECONDS


def test_settings_of_a_job_stay() -> None:
    ConfigService.add_section(SystemConfigs.APPLICATION_CONF, {"dead_client_grace_period": 7})
    LostSites()
    assert ConfigService.get_section(SystemConfigs.APPLICATION_CONF) == {"dead_client_grace_period": 7}


def test_a_site_that_is_gone_does_not_fail_the_job() -> None:
    pending = {"a", "b"}
    runner = SimpleNamespace(
        is_client_outcome_pending=lambda job, site: site in pending,
        resolve_client_outcome=lambda job, site: pending.discard(site),
    )  # without fail_run: calling it would be an error
    server = SimpleNamespace()
    fl_ctx = FLContext()
    fl_ctx.set_prop(ReservedKey.ENGINE, SimpleNamespace(job_runner=runner, server=server))
    LostSites().handle_event(EventType.SYSTEM_START, fl_ctx)
    for site in ("a", "c"):
        server._resolve_missing_client_outcome(SimpleNamespace(name=site), "job", "client dead")
    assert pending == {"b"}


@pytest.mark.parametrize("file", sorted(REPOSITORY.glob("jobs/*/app/config/config_fed_server.json")), ids=str)
def test_every_job_keeps_checkpoints_and_notices_the_dead_soon(file: Path) -> None:
    config = json.loads(file.read_text())
    assert config["dead_client_grace_period"] <= 15
    assert config["dead_client_check_lead_time"] <= 1
    paths = {item["id"]: item["path"] for item in config["components"]}
    if "training" in {item["id"] for item in config["workflows"]} and paths["aggregator"].startswith("flareseg."):
        assert paths["checkpoints"] == "flareseg.flare.server.checkpoint.CheckpointKeeper"
