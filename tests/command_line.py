"""The ``flareseg`` command in this process: a process of its own spends seconds on imports before it reads a word."""

from __future__ import annotations

import io
import signal
import sys
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from unittest.mock import patch

from flareseg.cli import console
from flareseg.cli.main import main

_SIGNALS = (signal.SIGTERM, signal.SIGHUP)


@dataclass(frozen=True)
class Done:
    """What the command printed, and its exit code."""

    returncode: int
    stdout: str
    stderr: str


def flareseg(*arguments: object) -> Done:
    """Run the whole command, where errors become messages and exit codes, on a terminal of 200 columns."""
    out, err, code = io.StringIO(), io.StringIO(), 0
    before = {number: signal.getsignal(number) for number in _SIGNALS}
    consoles = (console.console, console.error_console)
    with (
        redirect_stdout(out),
        redirect_stderr(err),
        patch.object(sys, "argv", ["flareseg", *map(str, arguments)]),
        patch.object(consoles[0], "_width", 200),
        patch.object(consoles[1], "_width", 200),
    ):
        try:
            main()
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else int(end.code is not None)
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
    return Done(code, out.getvalue(), err.getvalue())
