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
    report = json.loads((tmp_path / "run" / "report.json").read_text())
    assert report["status"] == "complete"
    page = (tmp_path / "run" / "report.html").read_text()
    assert 'href="sites/ct-a/ct-a.html"' in page
    assert (tmp_path / "run" / "sites" / "ct-a" / "ct-a.html").is_file()
    assert not processes_of(tmp_path / "run")
    assert not (tmp_path / "home" / ".nvflare").exists()


@pytest.mark.parametrize("moment", ["while it starts", "in a round"])
def test_ctrl_c_stops_everything(tmp_path: Path, moment: str) -> None:
    process = start(tmp_path, rounds=50, steps=50)
    assert process.stdout is not None
    wanted = "Starting server" if moment == "while it starts" else "Round 1/"
    for line in process.stdout:
        if wanted in line:
            break
    time.sleep(3)
    os.killpg(process.pid, signal.SIGINT)
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 130, output
    assert "Traceback" not in output
    assert not processes_of(tmp_path / "run")


def test_a_run_without_one_of_its_sites_exits_with_3_and_says_so(tmp_path: Path) -> None:
    process = start(tmp_path, spoil="mr-a")
    output, _ = process.communicate(timeout=300)
    assert process.returncode == 3, output
    report = json.loads((tmp_path / "run" / "report.json").read_text())
    assert report["status"] == "subset"
    assert "mr-a" in report["reason"]
    assert "NO_DATA" in json.dumps(report["rounds"])
    assert not processes_of(tmp_path / "run")
