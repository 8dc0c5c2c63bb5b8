"""NVFlare's controller asks, our executor answers: what rests on too few patients never reaches the controller."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from nvflare.apis.dxo import from_shareable
from nvflare.apis.event_type import EventType
from nvflare.apis.fl_constant import FLContextKey, ReservedKey, ReturnCode
from nvflare.apis.fl_context import FLContext
from nvflare.apis.shareable import Shareable
from nvflare.apis.signal import Signal
from nvflare.app_common.app_constant import StatisticsConstants as Words
from nvflare.app_common.statistics.min_count_cleanser import MinCountCleanser
from nvflare.app_common.statistics.numeric_stats import get_global_stats
from nvflare.fuel.utils import fobs

from flareseg.flare.names import Header
from flareseg.flare.server.statistics_controller import BINS, SiteStatisticsController
from flareseg.flare.site.statistics import DATASET, SiteStatistics
from flareseg.flare.site.statistics_executor import FewPatientsCleanser, SiteStatisticsExecutor
from tiny import TINY_TASK, write_tiny_site

CASES = 12
SCOPE = {"min_patients": 5, "max_bins_percent": 100, "noise": [0.1, 0.3]}


class Exchange:
    """A site and NVFlare's controller, without the wire between them."""

    def __init__(self, folder: Path, cases: int = CASES) -> None:
        (folder / "local").mkdir(parents=True)
        shutil.move(write_tiny_site(folder / "data", cases=cases), folder / "local" / "site.yaml")
        (folder / "task.yaml").write_text(yaml.safe_dump(TINY_TASK))
        workspace = SimpleNamespace(
            get_app_config_dir=lambda job: str(folder),
            get_site_config_dir=lambda: str(folder / "local"),
            get_root_dir=lambda: str(folder),
        )
        generator = SiteStatistics()
        engine = SimpleNamespace(
            get_workspace=lambda: workspace, get_component=lambda name: generator, fire_event=lambda *event: None
        )
        self.context = FLContext()
        for key, value in {ReservedKey.ENGINE: engine, ReservedKey.IDENTITY_NAME: "ct-a"}.items():
            self.context.set_prop(key, value)
        self.scope("statistics", SCOPE)
        self.executor = SiteStatisticsExecutor()
        self.executor.handle_event(EventType.START_RUN, self.context)
        self.controller = SiteStatisticsController()
        self.seen: list[bytes] = []

    def scope(self, name: str, properties: dict[str, Any], in_force: str | None = None) -> None:
        for key, value in {
            FLContextKey.JOB_SCOPE_NAME: name,
            FLContextKey.EFFECTIVE_JOB_SCOPE_NAME: in_force or name,
            FLContextKey.SCOPE_PROPERTIES: properties,
        }.items():
            self.context.set_prop(key, value)

    def ask(self, part: str) -> Shareable:
        inputs = self.controller._prepare_inputs(part)
        result = self.executor.execute(Words.FED_STATS_TASK, inputs, self.context, Signal())
        if result.get_return_code() == ReturnCode.OK:
            self.seen.append(fobs.dumps(from_shareable(result).data))
        task = SimpleNamespace(name=Words.FED_STATS_TASK, props={Words.STATISTICS_TASK_KEY: part})
        message = SimpleNamespace(client=SimpleNamespace(name="ct-a"), task=task, result=result)
        self.controller.results_cb(message, self.context)  # type: ignore[arg-type]
        self.controller.global_statistics = get_global_stats(
            self.controller.global_statistics,
            self.controller.client_statistics,
            part,
            self.controller.statistic_configs,
        )
        return result

    def both(self) -> dict[str, Any]:
        """All that the server knows, as it writes it down."""
        for part in (Words.STATS_1st_STATISTICS, Words.STATS_2nd_STATISTICS):
            assert self.ask(part).get_return_code() == ReturnCode.OK
        return self.controller._combine_all_statistics()


def test_counts_sums_and_histograms_arrive(tmp_path: Path) -> None:
    known = Exchange(tmp_path).both()
    assert known["CT cases"]["count"]["ct-a"][DATASET] == CASES
    assert known["CT liver voxels"]["sum"]["ct-a"][DATASET] == CASES * 8 * 8 * 3
    assert known["CT liver voxels"]["mean"]["Global"][DATASET] == 8 * 8 * 3
    bins = known["CT component mm"]["histogram"]["ct-a"][DATASET]
    assert [low for low, _, _ in bins] == list(range(0, 60, 6))
    assert sum(count for _, _, count in bins) == CASES


def test_below_the_minimum_not_even_the_count_arrives(tmp_path: Path) -> None:
    exchange = Exchange(tmp_path, cases=4)
    assert exchange.both() == {}
    assert exchange.controller.client_features["ct-a"] == {DATASET: []}
    assert all(b"CT" not in message and b"liver" not in message for message in exchange.seen)


def test_a_rare_finding_stays_though_the_rest_leaves(tmp_path: Path) -> None:
    exchange = Exchange(tmp_path)
    generator = exchange.context.get_engine().get_component("statistics")
    generator.read(exchange.context)
    sizes = generator._features["CT component mm"].values
    for patient in list(sizes)[: CASES - 4]:
        del sizes[patient]
    known = exchange.both()
    assert "CT component mm" not in known
    assert known["CT components"]["count"]["ct-a"][DATASET] == CASES
    assert all(b"component mm" not in message for message in exchange.seen)


def test_nvflare_s_own_minimum_would_tell_the_count() -> None:
    """Why there is a cleanser of ours: this fails once NVFlare's takes the count away too."""
    statistics = {name: {"all": {"rare": value}} for name, value in (("count", 1), ("failure_count", 0), ("sum", 3.0))}
    ours, changed = FewPatientsCleanser(5).apply(statistics, "ct-a")
    assert changed
    assert ours == {"count": {"all": {}}, "failure_count": {"all": {}}, "sum": {"all": {}}}
    stock, _ = MinCountCleanser(5).apply(statistics, "ct-a")
    assert stock["count"]["all"] == {"rare": 1}


def test_the_ends_of_a_range_are_moved_outwards(tmp_path: Path) -> None:
    exchange = Exchange(tmp_path)
    exchange.ask(Words.STATS_1st_STATISTICS)
    generator = exchange.context.get_engine().get_component("statistics")
    for feature in ("CT liver ml", "CT lesion voxels"):
        low, high = generator._features[feature].range()
        told_low = exchange.controller.client_statistics["min"]["ct-a"][DATASET][feature]
        told_high = exchange.controller.client_statistics["max"]["ct-a"][DATASET][feature]
        assert 0.1 * abs(low) <= low - told_low <= 0.3 * abs(low) + 1e-3
        assert 0.1 * abs(high) <= told_high - high <= 0.3 * abs(high) + 1e-3


@pytest.mark.parametrize(("patients", "told"), [(BINS + 1, True), (BINS, False)])
def test_a_histogram_as_fine_as_its_patients_stays(tmp_path: Path, patients: int, told: bool) -> None:
    known = Exchange(tmp_path, cases=patients).both()
    assert all(("histogram" in facts) == told for facts in known.values())
    assert "CT liver ml" in known


@pytest.mark.parametrize(
    ("asked", "in_force", "properties"),
    [
        ("open", "open", {}),
        ("clipped", "clipped", {"max_norm": 1.0}),
        ("dp", "dp", {"epsilon": 8.0, "delta": 1e-5, "max_grad_norm": 1.0, "noise_multiplier": 1.0}),
        ("statistics", "open", {}),
        ("", "", {}),
    ],
)
def test_another_scope_is_answered_with_nothing(
    tmp_path: Path, asked: str, in_force: str, properties: dict[str, Any]
) -> None:
    exchange = Exchange(tmp_path)
    exchange.scope(asked, properties, in_force)
    result = exchange.ask(Words.STATS_1st_STATISTICS)
    assert result.get_return_code() == ReturnCode.EXECUTION_EXCEPTION
    assert result.get_header(Header.ERROR) == {"code": "SCOPE_MISMATCH", "case": None}
    assert exchange.controller.client_statistics == {}


def test_a_site_that_fails_says_a_code_and_ends_nothing(tmp_path: Path) -> None:
    exchange = Exchange(tmp_path)
    shutil.rmtree(tmp_path / "data" / "images")
    result = exchange.ask(Words.STATS_1st_STATISTICS)
    assert result.get_header(Header.ERROR) == {"code": "NO_DATA", "case": None}
    assert set(result) <= {"__headers__"}
    assert exchange.controller.client_statistics == {}


def test_an_answer_that_cannot_be_read_counts_as_none(tmp_path: Path) -> None:
    controller = Exchange(tmp_path).controller
    task = SimpleNamespace(name=Words.FED_STATS_TASK, props={Words.STATISTICS_TASK_KEY: "x"})
    message = SimpleNamespace(client=SimpleNamespace(name="ct-a"), task=task, result=Shareable())
    controller.results_cb(message, FLContext())  # type: ignore[arg-type]
    assert controller.client_statistics == {}
