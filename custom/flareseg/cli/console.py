"""Where the command prints: results to standard output, errors to standard error."""

from __future__ import annotations

from rich.console import Console

console = Console()
error_console = Console(stderr=True)


def tell(message: str) -> None:
    """Print a line of progress, as plain text."""
    console.print(message, markup=False, highlight=False, soft_wrap=True)
