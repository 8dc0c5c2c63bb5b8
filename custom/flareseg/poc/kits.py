"""Starting a startup kit as a process of this machine."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

_CONSOLE = "poc_console.log"


def kit_environment(workspace: Path, home: Path) -> dict[str, str]:
    """The environment of NVFlare's processes: this Python, and a home that is not the user's."""
    return {key: value for key, value in os.environ.items() if key != "NVFLARE_HOME"} | {
        "HOME": str(home),
        "NVFLARE_POC_WORKSPACE": str(workspace),
        "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "1"),
        "PYTHONWARNINGS": "ignore",
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]),
    }


def start_kit(kit: Path, environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
    """Start the server or site of a kit with NVFlare's own script.

    ``nvflare poc start`` does the same with waits that a federation on one machine does not need: a second before each
    site, and five before each process and at its end, for the loop that restarts a process that died.
    """
    with (kit / _CONSOLE).open("ab") as console:
        return subprocess.Popen(
            [kit / "startup" / "sub_start.sh", "--once"],
            cwd=kit,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=console,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C reaches us alone: we stop the federation in order
        )


def last_words(kit: Path, lines: int = 3) -> str:
    """The last lines that a kit's process printed."""
    printed = (kit / _CONSOLE).read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return " ".join(line.strip() for line in printed[-lines:])
