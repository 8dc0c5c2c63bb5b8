"""The machine: folders, disk, shared memory, memory and GPU."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

import psutil
import torch

from flareseg.config.site import Site
from flareseg.flare.site_check.kit import Kit
from flareseg.flare.site_check.report import Check, green, red, yellow
from flareseg.processes import scripts_take

GIB = 2**30
DISK_RED, DISK_YELLOW = 1 * GIB, 10 * GIB
MEMORY_RED, MEMORY_YELLOW = 1 * GIB, 4 * GIB
SHARED_YELLOW = 256 * 2**20
SHARED = Path("/dev/shm")


def check_machine(kit: Kit, site: Site | None) -> list[Check]:
    """Check what a job's process needs of this machine.

    Args:
        kit: the kit.
        site: its site.yaml, where there is one: it names cache and device.
    """
    cache = site.cache if site else None
    folders = [kit.folder, kit.local, *([cache] if cache is not None else [])]
    return [
        _writable(folders),
        judge_free(
            "disk",
            shutil.disk_usage(_existing(cache or kit.folder)).free,
            DISK_RED,
            DISK_YELLOW,
            "Free some space, or set cache in local/site.yaml to a larger disk.",
        ),
        judge_free(
            "memory",
            psutil.virtual_memory().available,
            MEMORY_RED,
            MEMORY_YELLOW,
            "End other processes, or give this machine or container more memory.",
        ),
        _shared_memory(),
        judge_device(site.device if site else "auto", torch.cuda.device_count() if torch.cuda.is_available() else 0),
    ]


def _writable(folders: Sequence[Path]) -> Check:
    for folder in folders:
        if not scripts_take(folder):
            return red(
                "folders",
                f"{folder}: NVFlare's scripts break at blanks and quotes in a path",
                "Move the folder to a path without them.",
            )
        try:
            with tempfile.TemporaryFile(dir=_existing(folder)):
                pass
        except OSError as error:
            return red("folders", f"{folder}: {error.strerror}", "Let the user that runs NVFlare write there.")
    return green("folders", "can be written")


def _existing(folder: Path) -> Path:
    """The folder, or the nearest above it that is there already."""
    return next(path for path in (folder, *folder.parents) if path.is_dir())


def judge_free(name: str, free: int, least: int, better: int, remedy: str) -> Check:
    """Compare free bytes with the least that is needed and with what is comfortable."""
    said = f"{free / GIB:.1f} GiB free"
    if free < least:
        return red(name, f"{said}, needs {least / GIB:g} GiB", remedy)
    return green(name, said) if free >= better else yellow(name, f"{said}, better {better / GIB:g} GiB", remedy)


def _shared_memory() -> Check:
    if not SHARED.is_dir():
        return yellow("shared memory", f"no {SHARED}", "Mount it: PyTorch passes tensors between processes there.")
    size = shutil.disk_usage(SHARED).total
    said = f"{size / 2**20:.0f} MiB"
    if size < SHARED_YELLOW:
        return yellow("shared memory", said, "Start the container with --shm-size=1g.")
    return green("shared memory", said)


def judge_device(device: str, gpus: int) -> Check:
    """What site.yaml asks for beside what PyTorch sees."""
    if device == "cuda" and not gpus:
        return red(
            "GPU",
            "site.yaml says device: cuda, PyTorch sees no GPU",
            "Check nvidia-smi and that PyTorch is a CUDA build (in a container: --gpus all), or set device: cpu.",
        )
    seen = f"{gpus} GPU" if gpus else "no GPU"
    return green("GPU", f"{seen} seen by PyTorch, device: {device}")
