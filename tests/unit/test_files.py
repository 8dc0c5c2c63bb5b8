"""What only one process at a time may use is held by a lock that ends with the process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from flareseg.files import hold

HOLDER = """
import sys, time
from pathlib import Path
from flareseg.files import hold
lock = hold(Path(sys.argv[1]))
print(flush=True)
time.sleep(60)
"""


@pytest.fixture
def holder(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen([sys.executable, "-c", HOLDER, str(tmp_path / "run.lock")], stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    yield process
    process.kill()
    process.wait()


def test_a_second_process_is_told_who_holds_it(holder: subprocess.Popen[bytes], tmp_path: Path) -> None:
    with pytest.raises(BlockingIOError) as error:
        hold(tmp_path / "run.lock")
    assert error.value.strerror == f"process {holder.pid} has it"
    assert error.value.filename == str(tmp_path / "run.lock")


def test_a_killed_process_holds_nothing(holder: subprocess.Popen[bytes], tmp_path: Path) -> None:
    holder.send_signal(signal.SIGKILL)
    began = time.monotonic()
    with hold(tmp_path / "run.lock", patience=30):
        assert time.monotonic() - began < 20
        assert (tmp_path / "run.lock").read_text() == str(os.getpid())
    hold(tmp_path / "run.lock").close()


def test_a_number_left_by_a_dead_process_says_nothing(tmp_path: Path) -> None:
    """The number may be another process's by now: the lock alone tells."""
    (tmp_path / "run.lock").write_text("1")
    hold(tmp_path / "run.lock").close()
