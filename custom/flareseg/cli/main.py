"""Entry point: commands by subject, and one place where errors become messages and exit codes."""

from __future__ import annotations

import os
import signal
import sys
import tempfile
import traceback
from io import TextIOWrapper
from types import FrameType
from typing import Annotated

import typer

import flareseg
from flareseg.cli.commands import Commands
from flareseg.cli.console import error_console
from flareseg.config.seams import allow_extensions
from flareseg.errors import ErrorCode, ExitCode, FlaresegError

app = typer.Typer(
    name="flareseg",
    cls=Commands,
    help="Federated CT and MR segmentation on NVIDIA FLARE: FedGIN with FedGS.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit codes: 0 done, 1 failed, 2 wrong input, 3 done without some of the sites or images, 130 interrupted.",
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(flareseg.__version__)
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
    extension: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="Allow a network, loss, augmentation or layout of an installed package (docs/extending.md).",
        ),
    ] = None,
) -> None:
    """Federated CT and MR segmentation on NVIDIA FLARE: FedGIN with FedGS."""
    allow_extensions(extension or ())


def _interrupt(number: int, frame: FrameType | None) -> None:
    if number == signal.SIGHUP:  # the terminal is gone: what is still written there would be the next error
        nowhere = os.open(os.devnull, os.O_RDWR)
        for stream in (sys.stdin, sys.stdout, sys.stderr):
            if stream.isatty():
                os.dup2(nowhere, stream.fileno())
    raise KeyboardInterrupt


def main() -> None:
    """Run the command; every error ends in one message and an exit code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):  # a terminal or a pipe that cannot show a file's name shows its bytes
            stream.reconfigure(errors="backslashreplace")
    signal.signal(signal.SIGTERM, _interrupt)
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # as nohup leaves it
        signal.signal(signal.SIGHUP, _interrupt)
    try:
        app()
    except KeyboardInterrupt:
        error_console.print("[yellow]Interrupted.[/]")
        sys.exit(130)
    except FlaresegError as error:
        error_console.print("[red]Error:[/]", end=" ")
        error_console.print(str(error), markup=False, highlight=False, soft_wrap=True)
        sys.exit(ExitCode.FAILED if error.code is ErrorCode.INTERNAL else ExitCode.BAD_INPUT)
    except Exception as error:
        with tempfile.NamedTemporaryFile(
            "w", prefix="flareseg-", suffix=".trace", delete=False, encoding="utf-8", errors="backslashreplace"
        ) as trace:
            traceback.print_exc(file=trace)
        error_console.print(f"[red]Error:[/] unexpected {type(error).__name__}; please report {trace.name}.")
        sys.exit(ExitCode.FAILED)
