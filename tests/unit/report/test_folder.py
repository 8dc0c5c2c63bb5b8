from __future__ import annotations

from pathlib import Path

from flareseg.report.folder import report_folder


def test_each_run_has_its_own_and_latest_is_the_last(tmp_path: Path) -> None:
    first = report_folder(tmp_path, "fedavg", "11111111-aaaa")
    (first / "report.html").write_text("first")
    second = report_folder(tmp_path, "my job/../x", "22222222-bbbb")
    assert second.parent == first.parent == tmp_path
    assert (first / "report.html").read_text() == "first"
    assert (tmp_path / "latest").resolve() == second
    assert report_folder(tmp_path, "fedavg", "11111111-aaaa") == first
    assert (tmp_path / "latest").resolve() == first
    assert len(list(tmp_path.iterdir())) == 3
