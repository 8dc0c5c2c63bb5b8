"""The start script of a real kit, with a stand-in for Python."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from nvflare.lighter.entity import Project
from nvflare.lighter.impl.static_file import StaticFileBuilder
from nvflare.lighter.impl.workspace import WorkspaceBuilder
from nvflare.lighter.provisioner import Provisioner

from flareseg.flare.provision.builder import SitePolicyBuilder


@pytest.fixture(scope="module")
def kit(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("kits")
    project = Project("study", "")
    project.set_server("fl.example.org", "consortium", {})
    project.add_client("hospital-a", "hospital_a", {})
    builders = [WorkspaceBuilder(), StaticFileBuilder(config_folder="config"), SitePolicyBuilder()]
    return Path(Provisioner(str(folder), builders).provision(project).get_result_location()) / "hospital-a"


def until(condition: Callable[[], bool], seconds: float = 60) -> bool:
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.1)
    return condition()


@contextmanager
def started(kit: Path) -> Iterator[subprocess.Popen[str]]:
    """``sub_start.sh``, whose Python notes that it was started, and stays."""
    stand_in = kit / "bin" / "python3"
    stand_in.parent.mkdir(exist_ok=True)
    stand_in.write_text(f'#!/bin/bash\ntouch {kit}/began\nexec -a "python3 $*" sleep 300\n')
    stand_in.chmod(0o700)
    environment = {**os.environ, "PATH": f"{stand_in.parent}{os.pathsep}{os.environ['PATH']}"}
    process = subprocess.Popen(
        [str(kit / "startup" / "sub_start.sh")],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def test_numbers_of_other_processes_do_not_keep_a_kit_from_starting(kit: Path) -> None:
    """As after a power cut: the numbers that were left are others' by now, and these live on."""
    other = subprocess.Popen(["sleep", "300"])
    try:
        for name in ("daemon_pid.fl", "pid.fl"):
            (kit / name).write_text(str(other.pid))
        with started(kit) as process:
            assert until((kit / "began").exists)
            assert int((kit / "daemon_pid.fl").read_text()) == process.pid
            (kit / "restart.fl").touch()  # NVFlare kills the process of pid.fl
            (kit / "began").unlink()
            assert until((kit / "began").exists)
        assert other.poll() is None
    finally:
        other.kill()
        other.wait()


def test_a_kit_that_runs_is_not_started_twice(kit: Path) -> None:
    for left in (kit / "began", kit / "daemon_pid.fl", kit / "pid.fl"):
        left.unlink(missing_ok=True)  # of an earlier start, which is over
    with started(kit):
        assert until(lambda: (kit / "began").exists() and (kit / "daemon_pid.fl").exists())
        (kit / "began").unlink()
        with started(kit) as second:
            said, _ = second.communicate(timeout=60)
            assert "There seems to be one instance" in said
        assert not (kit / "began").exists()
