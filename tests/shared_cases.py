"""The generators of ``../shared/cases``: inputs out of bug reports, whose docstrings say what is expected of them."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

Generate = Callable[..., Path]
"""Runs the generator of a number, with its arguments, and gives what it made; the fixture ``generate``."""


def generator(scripts: Path, folder: Path) -> Generate:
    """Make what runs the scripts of a folder into another one."""

    def generate(number: str, *arguments: str) -> Path:
        (script,) = scripts.glob(f"{number}_*.py")
        command = [sys.executable, "-B", str(script), str(folder), *arguments]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        return Path(done.stdout.strip() or folder)

    return generate
