"""Where the command prints: results to standard output, errors to standard error."""

from __future__ import annotations

from rich.console import Console

from flareseg.errors import printable

console = Console()
error_console = Console(stderr=True)


def tell(message: str) -> None:
    """Print lines of progress, as plain text; what a terminal cannot show is written as Python writes it."""
    console.print("\n".join(map(printable, message.split("\n"))), markup=False, highlight=False, soft_wrap=True)
