"""Live progress of a job: a table on a terminal, a line for each round elsewhere."""

from __future__ import annotations

from types import TracebackType
from typing import Any, NoReturn

import typer
from rich.live import Live
from rich.table import Table

from flareseg.cli.console import console, tell
from flareseg.errors import ExitCode


class JobProgress:
    """Shows round, each site's Dice and loss, and the time left. Use as a context manager and call it."""

    def __init__(self) -> None:
        self._live = Live(console=console, refresh_per_second=4, transient=True) if console.is_terminal else None
        self._told = -1
        self._seen = False
        self._phase = ""

    def __enter__(self) -> JobProgress:
        if self._live:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live:
            self._live.stop()

    def __call__(self, status: str, progress: dict[str, Any] | None) -> None:
        """Show one look at the job: NVFlare's status and the run recorder's progress."""
        if not progress or not progress["rounds"]:
            waiting = {"SUBMITTED": "Waiting for the sites", "RUNNING": "The job's processes start"}.get(status, "")
            if waiting and waiting != self._phase and not self._seen:
                self._phase = waiting
                tell(waiting)
            return
        self._seen = True
        done, total = progress["rounds_done"], progress["rounds_total"]
        finished = [item for item in progress["rounds"] if item["seconds"]]
        if self._live:
            self._live.update(_table(finished[-1] if finished else None, done, total, progress))
        elif finished and finished[-1]["round"] > self._told:
            self._told = finished[-1]["round"]
            tell(_line(finished[-1], done, total, progress))
        phase = "Scoring the kept models on the validation sets" if progress["evaluating"] or done == total else ""
        if not self._live and phase and phase != self._phase:
            tell(phase)
        self._phase = phase


def end(status: str, nvflare_status: str) -> NoReturn:
    """Exit as a run ended: as its record says, unless NVFlare says that it did not run to its end."""
    if nvflare_status != "FINISHED:COMPLETED":
        tell(f"NVFlare says: {nvflare_status}")
        raise typer.Exit(ExitCode.FAILED)
    raise typer.Exit({"complete": ExitCode.OK, "subset": ExitCode.SUBSET}.get(status, ExitCode.FAILED))


def _time_left(done: int, total: int, progress: dict[str, Any]) -> str:
    if not done:
        return "unknown"
    seconds = progress["elapsed_seconds"] / done * (total - done)
    return f"{int(seconds // 60)}:{int(seconds % 60):02d}"


def _dice(site: dict[str, Any]) -> float | None:
    scores = site["scores"]
    return None if scores is None else scores["mean"]


def _number(value: float | None, digits: int = 3) -> str:
    return "–" if value is None else f"{value:.{digits}f}"


def _line(last: dict[str, Any], done: int, total: int, progress: dict[str, Any]) -> str:
    sites = "  ".join(
        f"{name}: Dice {_number(_dice(site))} loss {_number(site['loss'])}"
        for name, site in sorted(last["sites"].items())
    )
    missing = sorted({*last["refused"], *last["failed"], *last["late"], *last["absent"]})
    without = f"  without {', '.join(missing)}" if missing else ""
    return f"Round {done}/{total}  {sites}{without}  left {_time_left(done, total, progress)}"


def _table(last: dict[str, Any] | None, done: int, total: int, progress: dict[str, Any]) -> Table:
    phase = "scoring models" if done == total else f"round {done + 1} of {total}"
    table = Table(title=f"{phase}, time left {_time_left(done, total, progress)}")
    for column in ("Site", "Dice", "Loss", "η", "Seconds", "State"):
        table.add_column(column, justify="left" if column in ("Site", "State") else "right")
    if last is None:
        return table
    for name in last["expected"]:
        site = last["sites"].get(name)
        state = next((key for key in ("accepted", "refused", "failed", "late", "absent") if name in last[key]), "")
        if site is None:
            table.add_row(name, "–", "–", "–", "–", state)
        else:
            table.add_row(
                name,
                _number(_dice(site)),
                _number(site["loss"]),
                _number(site["mean_scale"], 2),
                _number(site["seconds"], 1),
                state,
            )
    return table
