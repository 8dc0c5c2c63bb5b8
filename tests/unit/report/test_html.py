from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import pytest
from rich.console import Console

from flareseg.record.run import RunRecord
from flareseg.report.console import summary_table
from flareseg.report.facts import report_facts
from flareseg.report.html import write_report

LOADS = {"src", "href", "xlink:href", "srcset", "data", "poster", "action"}


class Page(HTMLParser):
    """Collects what a browser would load, the ids, the scripts and the visible text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []
        self.ids: list[str] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [value or "" for name, value in attrs if name in LOADS]
        self.ids += [value or "" for name, value in attrs if name == "id"]

    def handle_data(self, data: str) -> None:
        self.text += data


def page_of(record: RunRecord, folder: Path, **options: list[tuple[str, str]]) -> Page:
    return Page(write_report(record, folder, **options)[0].read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", ["complete", "subset"])
def test_page_is_one_file_that_loads_nothing(name: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    html, _ = write_report(request.getfixturevalue(name), tmp_path)
    text = html.read_text(encoding="utf-8")
    page = Page(text)
    assert "http://" not in text
    assert "https://" not in text
    assert "@import" not in text
    assert all(link.startswith("#") for link in page.links)
    assert not {"script", "link", "iframe"} & set(page.tags)
    assert len(page.ids) == len(set(page.ids))
    assert {link[1:] for link in page.links} <= set(page.ids)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["report.html", "report.json"]


def test_what_others_wrote_is_escaped(subset: RunRecord, tmp_path: Path) -> None:
    subset.reason = "<img src=x onerror=alert(1)>"
    page = page_of(subset, tmp_path)
    assert "script" not in page.tags
    assert "img" not in page.tags
    assert "variable <script>alert(1)</script> holds" in page.text
    assert subset.reason in page.text


def test_a_site_of_any_name_is_escaped_in_charts_too(complete: RunRecord, tmp_path: Path) -> None:
    name = '<b>$x_1$"&'
    for item in complete.rounds:
        item.expected = item.accepted = [name]
        item.sites = {name: item.sites["ct-a"]}
    complete.modalities = {name: "CT"}
    page = page_of(complete, tmp_path)
    assert page.tags.count("b") == page_of(complete.model_copy(update={"rounds": []}), tmp_path).tags.count("b")
    assert name in page.text


def test_page_shows_facts(subset: RunRecord, tmp_path: Path) -> None:
    page = page_of(subset, tmp_path, links=[("ct-a", "sites/ct-a.html")])
    for words in ("subset", "ct-b was refused in round 1", "0.850", "nvflare 2.9.0", "UNREADABLE_IMAGE", "mean η"):
        assert words in page.text
    assert "sites/ct-a.html" in page.links
    assert page.tags.count("svg") == 3 + 2 + 1 + 2


def test_a_run_that_scored_nothing_still_has_a_page(without_scores: Callable[[str], RunRecord], tmp_path: Path) -> None:
    record = without_scores("failed")
    record.rounds, record.models = [], {}
    page = page_of(record, tmp_path)
    assert "No test set was scored." in page.text
    assert "No round was started." in page.text


def test_json_beside_the_page_is_strict(complete: RunRecord, tmp_path: Path) -> None:
    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    content = json.loads(write_report(complete, tmp_path)[1].read_text(), parse_constant=refuse)
    for key in ("status", "dice", "lesion_dice", "round_overhead_seconds", "job_id"):
        assert key in content
    assert content["dice"]["MR"] == 0.5


def test_a_second_report_replaces_the_first(complete: RunRecord, tmp_path: Path) -> None:
    first = write_report(complete, tmp_path)[0].read_bytes()
    assert write_report(complete, tmp_path)[0].read_bytes() == first


def test_table_in_the_terminal(subset: RunRecord) -> None:
    subset.reason = "[red]no markup[/] \x1b[31mno escape"
    console = Console(width=100, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    console.print(summary_table(report_facts(subset)))
    text = console.export_text()
    assert "0.850" in text
    assert r"subset: [red]no markup[/] \x1b[31mno escape" in text
    assert "\x1b" not in text


def test_a_resumed_run_names_the_jobs_that_it_went_through(complete: RunRecord, tmp_path: Path) -> None:
    assert "which resumes" not in page_of(complete, tmp_path).text
    complete.resumed_from = ["first-job", "second-job"]
    assert "which resumes second-job, which resumes first-job, started" in page_of(complete, tmp_path).text


def test_the_model_file_is_named_with_its_hash_and_why_it_won(complete: RunRecord, tmp_path: Path) -> None:
    model = tmp_path / "best.pt"
    model.write_bytes(b"weights")
    html, facts = write_report(complete, tmp_path / "report", model=model)
    digest = hashlib.sha256(b"weights").hexdigest()
    assert json.loads(facts.read_text())["model_file"] == {"path": str(model), "sha256": digest}
    page = Page(html.read_text(encoding="utf-8"))
    assert str(model) in page.text
    assert digest in page.text
    assert f"{complete.evaluation.winner} has the highest mean" in page.text
