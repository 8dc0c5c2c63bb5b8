"""Federated statistics in a running federation: what arrives, what stays, and which scope is answered."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from federation import REPOSITORY, SITES, Federation, tiny_changes
from flareseg.cli.report import report
from flareseg.errors import FlaresegError
from flareseg.poc.run import stage, submit, watch_and_download
from flareseg.report.statistics import load_statistics
from tiny import write_tiny_site

pytestmark = pytest.mark.slow

JOB = REPOSITORY / "jobs" / "data-statistics"
CASES = {"ct-a": 12, "ct-b": 14, "mr-a": 4}


@pytest.fixture(scope="module")
def large_sites(federation: Federation, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Federation]:
    """The shared federation with more cases at the CT sites, and too few patients at mr-a; as before afterwards."""
    before = {}
    for seed, (site, modality) in enumerate(SITES.items()):
        made = write_tiny_site(tmp_path_factory.mktemp("sites") / site, modality=modality, cases=CASES[site], seed=seed)
        settings = federation.workspace.kits / site / "local" / "site.yaml"
        before[settings] = settings.read_text()
        settings.write_text(made.read_text())
    yield federation
    for settings, content in before.items():
        settings.write_text(content)


def test_numbers_of_enough_patients_arrive_and_no_others(large_sites: Federation, tmp_path: Path) -> None:
    result = large_sites.result(large_sites.submit(tiny_changes(), job=JOB.name))
    statistics = load_statistics(result)
    assert statistics is not None
    assert statistics.sites == {"ct-a": "CT", "ct-b": "CT"}  # mr-a has 4 patients, its scope wants 5
    assert [statistics.value(site, "CT", "cases", "count") for site in statistics.sites] == [12, 14]
    assert statistics.value("ct-a", "CT", "liver voxels", "sum") == 12 * 8 * 8 * 3
    assert statistics.value("Global", "CT", "components", "count") == 26
    assert sum(count for *_, count in statistics.value("ct-b", "CT", "component mm", "histogram")) == 14
    assert len(statistics.histograms("CT", "liver ml")) == 2
    for path, content in large_sites.known_to_server(result).items():
        for secret in (b"case-3", b"images/case", b"site.yaml", b"MR liver", b"MR cases"):
            assert secret not in content, f"{secret!r} is in {path}"
    report(result, output=tmp_path)
    page = (tmp_path / "latest" / "statistics.html").read_text()
    assert page.count("<svg") >= 4
    assert "ct-b" in page


def test_under_another_scope_no_site_answers(large_sites: Federation, tmp_path: Path) -> None:
    job = shutil.copytree(JOB, tmp_path / "statistics-in-the-open")
    meta = json.loads((job / "meta.json").read_text())
    (job / "meta.json").write_text(json.dumps(meta | {"scope": "open"}))
    job_id = submit(large_sites.workspace, stage(large_sites.workspace, job, tiny_changes()))
    with pytest.raises(FlaresegError, match="FINISHED:EXECUTION_EXCEPTION"):
        watch_and_download(large_sites.workspace, job_id, lambda status, progress: None)
    for site in SITES:
        assert "SCOPE_MISMATCH: Statistics are answered under the privacy scope statistics" in large_sites.site_log(
            site
        )
