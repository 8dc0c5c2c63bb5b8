"""NVFlare's own reading of a job's configuration, with our kit's policy, without a federation around it."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
from nvflare.fuel.common.excepts import ComponentNotAuthorized

from job_configuration import configure
from refused_jobs import AT_SITES, AT_THE_SERVER


@pytest.fixture
def planted(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "planted"
    assert not (tmp_path / "planted").exists()


@pytest.mark.parametrize("server", [True, False], ids=["server", "site"])
def test_our_job_is_built(tmp_path: Path, planted: Path, server: bool) -> None:
    configure(tmp_path, lambda job, planted: None, planted, server=server)


@pytest.mark.parametrize("case", [*AT_SITES, *AT_THE_SERVER])
def test_a_job_that_asks_for_more_is_not(
    tmp_path: Path, planted: Path, caplog: pytest.LogCaptureFixture, case: str
) -> None:
    change, line = {**AT_SITES, **AT_THE_SERVER}[case]
    with caplog.at_level(logging.INFO), pytest.raises(ComponentNotAuthorized) as refusal:
        configure(tmp_path, change, planted, server=case in AT_THE_SERVER)
    assert line in str(refusal.value)
