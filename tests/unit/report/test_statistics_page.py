"""The page says who has what, what stayed at the sites, and where sites differ."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from flareseg.errors import SettingsError
from flareseg.report.statistics import PLACE, StatisticsReport, load_statistics, write_statistics


def histogram(*counts: float) -> list[list[float]]:
    return [[10.0 * number, 10.0 * number + 10, count] for number, count in enumerate(counts)]


def content() -> dict[str, Any]:
    def told(**by_site: Any) -> dict[str, Any]:
        return {site.replace("_", "-"): {"all": value} for site, value in by_site.items()}

    return {
        "CT cases": {"count": told(ct_a=12, ct_b=9, Global=21), "sum": told(ct_a=14.0, ct_b=9.0)},
        "MR cases": {"count": told(mr_a=7)},
        "CT intensity": {
            "histogram": told(ct_a=histogram(6, 6, 0), ct_b=histogram(0, 0, 9), Global=histogram(6, 6, 9))
        },
        "CT liver voxels": {"sum": told(ct_a=123456.0, ct_b=1000.0)},
        "CT liver ml": {"mean": told(ct_a=1500.5, ct_b=1480.0), "histogram": told(ct_a=histogram(3, 4, 5))},
        "MR liver voxels": {"sum": told(mr_a=5.0)},
        "CT components": {"mean": told(ct_a=2.5)},
        "CT component mm": {"histogram": told(ct_a=histogram(5, 5, 2), ct_b=histogram(4, 4, 1))},
    }


def test_facts_and_what_stayed() -> None:
    statistics = StatisticsReport(content())
    assert statistics.sites == {"ct-a": "CT", "ct-b": "CT", "mr-a": "MR"}
    first, second, third = (statistics.facts(site) for site in statistics.sites)
    assert (first.patients, first.cases, first.components) == (12, 14.0, 2.5)
    assert first.mean == {"liver": 1500.5}
    assert second.components is None
    assert third.voxels == {"liver": 5.0}
    assert third.cases is None


def test_what_is_suppressed_is_told_apart_from_what_was_not_annotated(tmp_path: Path) -> None:
    statistics = StatisticsReport(content())
    # ct-b has 9 patients: enough to be shown, too few for a histogram of 10 bins; mr-a told no ml for its liver.
    assert statistics.why_untold("ct-b", "CT", "liver ml") == "suppressed"
    assert statistics.facts("mr-a").why == {"liver": "suppressed", "components": "not annotated"}
    found = content()
    del found["CT liver voxels"]["sum"]["ct-b"], found["CT liver ml"]["mean"]["ct-b"]
    found["CT components"]["sum"] = {"ct-b": {"all": 0.0}}
    del found["CT component mm"]["histogram"]["ct-b"]
    statistics = StatisticsReport(found)
    assert statistics.facts("ct-b").why["liver"] == "not annotated"
    assert statistics.why_untold("ct-b", "CT", "component mm") == "none found"
    text = write_statistics(statistics, tmp_path).read_text()
    assert "not annotated: ct-b" in text
    assert "none found: ct-b" in text
    assert "Suppressed: on too few patients" in text


def test_a_site_that_differs_is_named() -> None:
    differences = StatisticsReport(content()).differences()
    assert [(item.site, item.subject, item.share) for item in differences] == [
        ("ct-a", "intensity", 1.0),
        ("ct-b", "intensity", 1.0),
    ]


def test_one_odd_site_is_named_alone() -> None:
    odd = content()
    odd["CT cases"]["count"]["ct-c"] = {"all": 8}
    odd["CT intensity"]["histogram"] |= {"ct-b": {"all": histogram(5, 4, 0)}, "ct-c": {"all": histogram(0, 1, 7)}}
    assert {(item.site, item.subject) for item in StatisticsReport(odd).differences()} == {("ct-c", "intensity")}


def test_the_page(tmp_path: Path) -> None:
    page = write_statistics(StatisticsReport(content()), tmp_path).read_text()
    assert "2 distributions differ" in page
    assert page.count("<svg") == 3
    assert "123,456" in page
    assert 'aria-label="Sizes of lesions: ct-a, ct-b"' in page
    assert "http://" not in page.replace("http://www.w3.org", "")
    alike = content()
    del alike["CT intensity"]
    assert "No site differs" in write_statistics(StatisticsReport(alike), tmp_path).read_text()


def test_names_are_escaped(tmp_path: Path) -> None:
    evil = {"CT cases": {"count": {"<script>alert(1)</script>": {"all": 5}}}}
    assert "<script>" not in write_statistics(StatisticsReport(evil), tmp_path).read_text()


def test_loading(tmp_path: Path) -> None:
    assert load_statistics(tmp_path) is None
    path = tmp_path / "workspace" / PLACE
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(content()))
    loaded = load_statistics(tmp_path)
    assert loaded is not None
    assert len(loaded.sites) == 3
    path.write_text("[1]")
    with pytest.raises(SettingsError, match="expected statistics of NVFlare"):
        load_statistics(tmp_path)
