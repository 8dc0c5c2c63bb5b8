"""No error on the real sets beside the repository, as flareseg data prepare makes sites of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from flareseg.config.site import load_site
from flareseg.config.task import load_task
from flareseg.data.check.case import CaseCheck
from flareseg.data.check.run import full_check
from flareseg.data.faults.findings import errors
from flareseg.data.prepare.layouts.source import Given
from flareseg.data.prepare.order import Order
from flareseg.data.prepare.run import prepare

pytestmark = [pytest.mark.shared_data, pytest.mark.slow]

JOBS = Path(__file__).parents[4] / "jobs"


@pytest.mark.parametrize(
    ("name", "layout", "job", "cases", "more"),
    [
        ("lits", "lits", "liver-ct-mr", 23, {"window": (-160.0, 240.0)}),
        ("chaos-mr", "chaos", "liver-ct-mr", 14, {"given": Given(modality="MR")}),
        ("chaos-ct", "chaos", "liver-ct-mr", 1, {}),
        ("totalsegmentator", "totalsegmentator", "fedgin-fedgs", 2, {}),
        ("polypgen", "polypgen", "polyps", 1449, {}),
    ],
    ids=["lits", "chaos-mr", "chaos-ct", "totalsegmentator", "polypgen"],
)
def test_no_error_on_a_real_set(
    shared_dir: Path, tmp_path: Path, name: str, layout: Any, job: str, cases: int, more: dict[str, Any]
) -> None:
    source = shared_dir / "data" / name
    if not source.is_dir():
        pytest.skip(f"needs {source}")
    task = load_task(JOBS / job / "app/config/task.yaml")
    read = 0
    for part in prepare(Order(layout, source, tmp_path / "dest", task, **more), lambda done, total: None):
        report = full_check(CaseCheck(load_site(part.site_file), task), part.site_file)
        assert errors(report.findings) == []
        assert all(case.content is not None for case in report.cases)
        read += len(report.cases)
    assert read == cases
