"""What ``make jobs`` writes is what lies in ``jobs/``."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from flareseg.job.configuration import write_configuration

JOBS = Path(__file__).parents[3] / "jobs"
NAMES = sorted(path.parent.name for path in JOBS.glob("*/meta.json"))
CONFIGURATION = ("config_fed_server.json", "config_fed_client.json")


@pytest.mark.parametrize("name", NAMES)
def test_a_job_s_configuration_is_its_template_s(tmp_path: Path, name: str) -> None:
    made = Path(shutil.copytree(JOBS / name, tmp_path / name))
    for file in CONFIGURATION:
        (made / "app/config" / file).unlink()
    write_configuration(made)
    for file in CONFIGURATION:
        path = Path("app/config") / file
        assert (made / path).read_bytes() == (JOBS / name / path).read_bytes()


def test_no_job_is_left_out() -> None:
    assert len(NAMES) >= 9
    scopes = {name: json.loads((JOBS / name / "meta.json").read_text())["scope"] for name in NAMES}
    assert {"open", "encrypted", "statistics"} <= set(scopes.values())
