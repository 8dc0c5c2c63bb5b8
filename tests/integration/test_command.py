"""``flareseg poc run`` as a user types it: exit codes, and nothing left behind."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from federation import PROJECT, REPOSITORY, tiny_changes, tiny_sites
from flareseg.processes import processes_of
from healthy_logs import unexplained


def start(folder: Path, spoil: str | None = None, **training: int) -> subprocess.Popen[str]:
    """Start the command as a terminal would: in a process group of its own, with an empty home.

    The site to spoil has no images.
    """
    tiny_sites(folder / "sites")
    if spoil:
        shutil.rmtree(folder / "sites" / spoil / "images")
    (folder / "home").mkdir()
    command = [str(Path(sys.executable).parent / "flareseg"), "poc", "run", str(REPOSITORY / "jobs/fedgin-fedgs")]
    command += ["--data", str(folder / "sites"), "--workspace", str(folder / "run"), "--project", str(PROJECT)]
    command += [part for change in tiny_changes(**training) for part in ("--set", change)]
    return subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=os.environ | {"HOME": str(folder / "home")},
        cwd=folder,
        start_new_session=True,
    )


def test_a_run_ends_with_a_report_and_nothing_left(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            taken.bind(("", 8002))
            taken.listen()
        except OSError:
            pass  # somebody else has it: taken all the same
        process = start(tmp_path)
        output, _ = process.communicate(timeout=300)
    assert process.returncode == 0, output
    assert "Port 8002 is used by" in output
    folder = tmp_path / "run" / "report" / "latest"
    report = json.loads((folder / "report.json").read_text())
    assert report["status"] == "complete"
    page = (folder / "report.html").read_text()
    assert 'href="sites/ct-a/ct-a.html"' in page
    assert (folder / "sites" / "ct-a" / "ct-a.html").is_file()
    assert not processes_of(tmp_path / "run")
    assert not (tmp_path / "home" / ".nvflare").exists()
    assert list((tmp_path / "run").rglob("log.txt"))
    assert unexplained(tmp_path / "run") == []


@pytest.mark.parametrize(
    ("moment", "number"),
    [
        ("while it starts", signal.SIGINT),
        pytest.param("in a round", signal.SIGINT, marks=pytest.mark.slow),  # between the other two, a minute and a half
        ("in a round", signal.SIGHUP),
    ],
    ids=["Ctrl-C while it starts", "Ctrl-C in a round", "the terminal closes"],
)
def test_an_interruption_stops_everything(tmp_path: Path, moment: str, number: signal.Signals) -> None:
    process = start(tmp_path, rounds=50, steps=50)
    assert process.stdout is not None
    wanted = "Starting server" if moment == "while it starts" else "Round 1/"
    for line in process.stdout:
        if wanted in line:
            break
    time.sleep(3)
    os.killpg(process.pid, number)
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 130, output
    assert "Traceback" not in output
    assert not processes_of(tmp_path / "run")


def test_a_run_without_one_of_its_sites_exits_with_3_and_says_so(tmp_path: Path) -> None:
    process = start(tmp_path, spoil="mr-a")
    output, _ = process.communicate(timeout=300)
    assert process.returncode == 3, output
    report = json.loads((tmp_path / "run" / "report" / "latest" / "report.json").read_text())
    assert report["status"] == "subset"
    assert "mr-a" in report["reason"]
    assert "NO_DATA" in json.dumps(report["rounds"])
    assert not processes_of(tmp_path / "run")


def test_a_killed_run_leaves_nothing_and_a_second_one_at_the_same_time_is_refused(tmp_path: Path) -> None:
    process = start(tmp_path, rounds=50, steps=50)
    assert process.stdout is not None
    assert any("Round 1/" in line for line in process.stdout)
    second = subprocess.run(process.args, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert second.returncode == 1
    assert f"another flareseg command is at work here (pid {process.pid})" in second.stderr
    assert len(processes_of(tmp_path / "run")) >= 8
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    deadline = time.monotonic() + 30
    while processes_of(tmp_path / "run"):
        assert time.monotonic() < deadline, "processes are left 30 s after kill -9"
        time.sleep(0.5)
