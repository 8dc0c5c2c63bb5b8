"""Preprocessed cases on disk: made once, mapped into memory, keyed by content and settings."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from flareseg.data.datalist import Case
from flareseg.data.preprocess import preprocess
from flareseg.site import Site
from flareseg.task import Task

CACHE_VERSION = 1
_FOREGROUND_VOXELS = 1024


@dataclass(frozen=True)
class Volume:
    """A preprocessed case.

    Attributes:
        image: float32 (C, X, Y, Z) in [0, 1], mapped from disk.
        label: uint8 (L, X, Y, Z), mapped from disk.
        spacing: float32 (3,) in mm; in pixels for an RGB frame.
        foreground: for each label an int32 array (N, 3) of at most 1024 of its voxels, for sampling.
    """

    image: np.ndarray
    label: np.ndarray
    spacing: np.ndarray
    foreground: list[np.ndarray]


class Cache:
    """A folder of preprocessed cases.

    An entry is written beside its place and renamed into it, so that a reader never sees half of one and two
    processes may share the folder.

    Args:
        folder: where entries lie; made when missing.
        task: the settings that shape an entry.
        site: the settings that shape an entry.
    """

    def __init__(self, folder: Path, task: Task, site: Site) -> None:
        self.folder = folder
        self.task = task
        self.site = site
        shaping = {
            "version": CACHE_VERSION,
            "labels": [(name, site.labels[name]) for name in task.labels],
            "intensity": task.modalities[site.modality].model_dump(mode="json"),
            "spacing": task.spacing,
            "resize": task.resize,
            "scale": site.intensity.model_dump(mode="json"),
        }
        self._settings = json.dumps(shaping, sort_keys=True).encode()

    def load(self, case: Case) -> Volume:
        """Give a case from the cache, preparing it first where it is missing, outdated or damaged.

        Raises:
            DataError: the case's files cannot be used.
        """
        entry = self.folder / self._key(case)
        try:
            return _open(entry)
        except FileNotFoundError:
            pass
        except (OSError, ValueError, EOFError):  # damaged: out of the way at once, another process may write it anew
            grave = Path(tempfile.mkdtemp(prefix=".damaged-", dir=self.folder))
            os.rename(entry, grave / "entry")
            shutil.rmtree(grave, ignore_errors=True)
        self._write(entry, *preprocess(case, self.task, self.site))
        return _open(entry)

    def _key(self, case: Case) -> str:
        digest = hashlib.sha256(self._settings)
        for path in (case.image, case.label):
            with path.open("rb") as stream:
                while block := stream.read(1 << 20):
                    digest.update(block)
        return digest.hexdigest()[:32]

    def _write(self, entry: Path, image: np.ndarray, label: np.ndarray, spacing: np.ndarray) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(prefix=".writing-", dir=self.folder))
        try:
            np.save(scratch / "image.npy", image, allow_pickle=False)
            np.save(scratch / "label.npy", label, allow_pickle=False)
            np.save(scratch / "spacing.npy", spacing, allow_pickle=False)
            np.save(scratch / "foreground.npy", _foreground(label), allow_pickle=False)
            try:
                os.rename(scratch, entry)
            except OSError:
                if not entry.is_dir():  # another process was first: its entry is the same
                    raise
        finally:
            shutil.rmtree(scratch, ignore_errors=True)


def _open(entry: Path) -> Volume:
    foreground = np.load(entry / "foreground.npy", allow_pickle=False)
    label = np.load(entry / "label.npy", mmap_mode="r", allow_pickle=False)
    return Volume(
        image=np.load(entry / "image.npy", mmap_mode="r", allow_pickle=False),
        label=label,
        spacing=np.load(entry / "spacing.npy", allow_pickle=False),
        foreground=[foreground[foreground[:, 0] == index, 1:] for index in range(len(label))],
    )


def _foreground(label: np.ndarray) -> np.ndarray:
    """Rows (label, x, y, z): evenly spaced picks among each label's voxels in memory order."""
    rows = []
    for index, mask in enumerate(label):
        voxels = np.argwhere(mask)
        if len(voxels) > _FOREGROUND_VOXELS:
            voxels = voxels[np.linspace(0, len(voxels) - 1, _FOREGROUND_VOXELS).round().astype(int)]
        rows.append(np.column_stack([np.full(len(voxels), index), voxels]))
    return np.concatenate(rows).astype(np.int32)
