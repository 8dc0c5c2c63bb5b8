"""The command as a hospital runs it: exit codes, tables, JSON that is nothing but JSON, and the page."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from typer.testing import CliRunner, Result

from flareseg.cli.data import app
from site_faults import PlantedSite
from site_faults.files import file_empty
from site_faults.labels import tiny_targets


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PlantedSite:
    monkeypatch.setattr("os.sched_getaffinity", lambda pid: {0})  # one core: no process to start
    monkeypatch.setenv("COLUMNS", "160")
    return PlantedSite(tmp_path / "site")


def check(site: PlantedSite, *arguments: str) -> Result:
    site.save()
    return CliRunner().invoke(app, ["check", str(site.file), *arguments], catch_exceptions=False)


def test_a_clean_site(site: PlantedSite) -> None:
    done = check(site, "--strict", "--task", str(site.folder / "task.yaml"))
    assert done.exit_code == 0
    assert "6 cases: 0 errors, 0 warnings." in done.stdout
    said = " ".join(done.stdout.split())
    assert re.search(r"Components of lesion: 6, equivalent diameter .* 6 large\.|6 small \(below 8 mm\)", said)
    assert re.search(r"η of a training patch: mean [12]\.\d\d, above 1 in \d+% of 128\.", done.stdout)


def test_warnings_matter_only_when_strict(site: PlantedSite) -> None:
    tiny_targets(site)
    assert check(site).exit_code == 0
    done = check(site, "--strict")
    assert done.exit_code == 1
    assert "warning tiny-targets" in done.stdout
    assert "images/case-1.nii.gz: labels/case-1.nii.gz: 1 of 2 parts of spleen" in done.stdout


def test_errors_come_first_and_exit_with_2(site: PlantedSite) -> None:
    tiny_targets(site)
    site.image(2).write_bytes(b"")
    done = check(site)
    assert done.exit_code == 2
    assert done.stdout.index("error file-empty") < done.stdout.index("warning tiny-targets")
    assert "6 cases: 1 errors, 1 warnings." in done.stdout


def test_json_is_all_of_standard_output(site: PlantedSite) -> None:
    file_empty(site)
    done = check(site, "--json", "--task", str(site.folder / "task.yaml"))
    assert done.exit_code == 2
    content = json.loads(done.stdout)
    assert (content["errors"], content["warnings"]) == (1, 0)
    (finding,) = content["findings"]
    assert finding == {
        "level": "error",
        "kind": "file-empty",
        "case": "images/case-1.nii.gz",
        "message": f"{site.image(1)}: holds no bytes.",
        "remedy": "Copy or export it again.",
    }
    training = content["summary"]["splits"]["training"]
    assert (training["cases"], training["slices"]) == (3, 24)
    assert training["labels"]["lesion"] == {"cases": 3, "slices": 6, "voxels": 24}
    assert content["summary"]["components"]["lesion"]["small"] == 5
    assert sum(content["summary"]["eta"]["counts"]) == content["summary"]["eta"]["patches"] == 96


def test_the_page_shows_every_case_and_nothing_from_elsewhere(site: PlantedSite, tmp_path: Path) -> None:
    file_empty(site)
    done = check(site, "--html", str(tmp_path), "--task", str(site.folder / "task.yaml"))
    assert done.exit_code == 2
    text = (tmp_path / "check.html").read_text(encoding="utf-8")
    assert "Keep this page at the site." in text
    assert all(f'<article class="case" id="case-{number}">' in text for number in range(6))
    assert all(source.startswith("data:image/png;base64,") for source in re.findall(r'src="([^"]*)', text))
    assert text.count('class="histogram"') == 5 + 2  # the readable cases, the targets, η
    assert '<li>images/case-1.nii.gz: holds no bytes. <a href="#case-1">Show</a></li>' in text
    assert "http" not in text


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="on one core the command starts no other process")
@pytest.mark.slow
def test_an_interrupt_ends_all_processes_without_a_trace(site: PlantedSite) -> None:
    """As Ctrl-C does: the signal reaches the command and its workers alike."""
    site.datalist["training"] = [site.entry(number % 4) for number in range(400)]
    site.save()
    command = [str(Path(sys.executable).parent / "flareseg"), "data", "check", str(site.file)]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    watched = psutil.Process(process.pid)
    deadline = time.monotonic() + 120
    # The resource tracker and, of two cores, at least one worker that has come as far as reading.
    while not any(child.cpu_times().user > 1 for child in watched.children()):
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.1)
    children = watched.children(recursive=True)
    os.killpg(process.pid, signal.SIGINT)
    stdout, stderr = process.communicate(timeout=120)
    assert process.returncode == 130
    assert "Traceback" not in stdout + stderr
    assert psutil.wait_procs(children, timeout=60)[1] == []


def test_a_page_of_nothing(site: PlantedSite, tmp_path: Path) -> None:
    site.settings["data"]["root"] = "nowhere"
    assert check(site, "--html", str(tmp_path / "page.html")).exit_code == 2
    text = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "root-missing" in text
    assert "There is none to show." in text
