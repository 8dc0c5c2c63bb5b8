"""A process that ends a federation when the command that started it is gone, however it went.

A command that is killed cannot clean up. It holds the other end of this process's standard input, and the system closes
that end with it.
"""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from flareseg.processes import end_processes


@contextmanager
def ended_with_us(workspace: Path) -> Iterator[None]:
    """End every process of a workspace when this process ends inside the ``with`` block, even by SIGKILL."""
    watch = subprocess.Popen(
        [sys.executable, "-m", "flareseg.poc.watch", str(workspace)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,  # Ctrl-C and the end of the terminal reach us alone
    )
    try:
        yield
    finally:
        if watch.stdin is not None:
            watch.stdin.close()
        watch.wait()


def main() -> None:
    """Wait for the end of standard input, then end the processes of the workspace that is the argument."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    sys.stdin.buffer.read()
    end_processes(Path(sys.argv[1]), patience=0)


if __name__ == "__main__":
    main()
