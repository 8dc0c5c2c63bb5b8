"""What a benchmark gives, and how it is timed."""

from __future__ import annotations

import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

REPOSITORY = Path(__file__).parents[1]
DEFAULT_JOB = REPOSITORY / "jobs" / "fedgin-fedgs"


@dataclass(frozen=True)
class Row:
    """One measurement beside its reference.

    Attributes:
        name: what was measured.
        size: of what.
        ours: our figure; None where it could not be measured here.
        reference: the figure it stands beside.
        unit: of both.
        target: the largest ratio wanted; None where the figures are for information.
        limit: what limits the ratio, or why it was not measured.
    """

    name: str
    size: str
    ours: float | None
    reference: float | None
    unit: str
    target: float | None = None
    limit: str = ""

    @property
    def ratio(self) -> float | None:
        """Ours by the reference."""
        return None if self.ours is None or not self.reference else self.ours / self.reference

    @property
    def met(self) -> bool | None:
        """Whether the target is met; None without a target or a measurement."""
        return None if self.target is None or self.ratio is None else self.ratio <= self.target

    def as_dict(self) -> dict[str, Any]:
        """The row for bench.json."""
        return {**asdict(self), "ratio": self.ratio, "met": self.met}


def in_turn(tasks: Sequence[Callable[[], object]], repeats: int) -> list[float]:
    """Median seconds of each task, the tasks run in alternation after one round to warm up."""
    times: list[list[float]] = [[] for _ in tasks]
    for repeat in range(repeats + 1):
        for task, taken in zip(tasks, times, strict=True):
            start = time.perf_counter()
            task()
            if repeat:
                taken.append(time.perf_counter() - start)
    return [statistics.median(taken) for taken in times]


def in_child(module: str, *arguments: object) -> float:
    """The number that a module of this package prints, in a process of its own: for peaks of memory."""
    command = [sys.executable, "-m", module, *map(str, arguments)]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True)
    return float(done.stdout.split()[-1])


def peak_memory() -> int:
    """Most bytes that this process has had in memory at once, by Linux (``VmHWM``).

    ``getrusage`` is no use in a child: it starts with the peak of the process that forked it.
    """
    lines = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(lines["VmHWM"].split()[0]) * 1024


def machine() -> dict[str, Any]:
    """What the figures were measured on."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.is_file() else []
    models = {line.partition(":")[2].strip() for line in lines if line.startswith("model name")}
    return {
        "cpu": ", ".join(sorted(models)) or platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "torch_threads": torch.get_num_threads(),
        "load_average": os.getloadavg()[0],
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "platform": platform.platform(),
        "versions": {"python": platform.python_version()}
        | {name: version(name) for name in ("flareseg", "nvflare", "torch", "monai", "numpy")},
    }


if __name__ == "__main__":
    print(peak_memory())
