"""The seam of docs/extending/aggregator.md: a class of another package, allowed by the server's own policy alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from nvflare.apis.dxo import from_shareable
from nvflare.fuel.common.excepts import ComponentNotAuthorized

from job_configuration import configure
from seams.geometric_median import GeometricMedian
from server_bench import Bench

PATH = "seams.geometric_median.GeometricMedian"


def name_it(job: Path, planted: Path) -> None:
    path = job / "app/config/config_fed_server.json"
    content = json.loads(path.read_text())
    (item,) = [item for item in content["components"] if item["id"] == "aggregator"]
    item["path"] = PATH
    path.write_text(json.dumps(content))


def test_a_job_can_name_it_where_the_servers_policy_lists_it(tmp_path: Path) -> None:
    configurator = configure(tmp_path, name_it, tmp_path / "planted", server=True, also=[PATH])
    assert isinstance(configurator.runner_config.components["aggregator"], GeometricMedian)


def test_a_job_cannot_name_it_elsewhere(tmp_path: Path) -> None:
    with pytest.raises(ComponentNotAuthorized, match="GeometricMedian"):
        configure(tmp_path, name_it, tmp_path / "planted", server=True)


def test_one_site_of_three_far_away_hardly_moves_it(tmp_path: Path, task_content: dict[str, Any]) -> None:
    bench = Bench(tmp_path, task_content, aggregator=GeometricMedian())
    sites = {site: bench.contribution(0) for site in "abc"}
    for value in from_shareable(sites["c"]).data.values():
        value *= -1000
    assert [bench.accept(site, sent)[0] for site, sent in sites.items()] == [True, True, True]
    new, honest = bench.aggregate(), bench.update(0)
    for name, old in bench.state.items():
        np.testing.assert_allclose(new[name], old + honest[name], rtol=0, atol=1e-4)


def test_the_base_refuses_what_no_aggregator_should_see(tmp_path: Path, task_content: dict[str, Any]) -> None:
    bench = Bench(tmp_path, task_content, aggregator=GeometricMedian())
    assert bench.accept("a", bench.contribution(steps=0))[1] == "expected 1 to 3 steps, found 0"
    spoilt = bench.contribution()
    next(iter(from_shareable(spoilt).data.values())).reshape(-1)[0] = np.nan
    assert "is not finite" in str(bench.accept("a", spoilt)[1])
    assert bench.accept("a", bench.contribution())[0]
    assert bench.accept("a", bench.contribution())[1] == "a second contribution in one round"
    bench.aggregate()
    assert "1 contributions accepted (a), 2 needed" in bench.panics[0]
