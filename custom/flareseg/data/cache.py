"""Preprocessed cases on disk: made once, mapped into memory, keyed by content and settings."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import zlib
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from flareseg.config.site import Site
from flareseg.config.task import Task
from flareseg.data.case import Case
from flareseg.data.digests import Digests
from flareseg.data.geometry import stated_spacing
from flareseg.data.preprocess import preprocess
from flareseg.data.reader import with_channels
from flareseg.data.scratch import scratch_folder
from flareseg.errors import DataError, ErrorCode, unreadable

CACHE_VERSION = 3
_ARRAYS = ("image.npy", "label.npy", "spacing.npy", "foreground.npy")
_SUMS = "sums.json"
_BLOCK = 1 << 20
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

    @property
    def nbytes(self) -> int:
        """Bytes of memory once all of it was looked at."""
        return int(self.image.nbytes + self.label.nbytes + sum(voxels.nbytes for voxels in self.foreground))


class Cache:
    """A folder of preprocessed cases.

    An entry is written beside its place and renamed into it, so that a reader never sees half of one and two
    processes may share the folder. The first time that a process opens one it compares each file with its CRC-32: a bit
    that flipped on the disk would be another voxel in every round.

    Args:
        folder: where entries lie; made when missing.
        task: the settings that shape an entry.
        site: the settings that shape an entry.
    """

    def __init__(self, folder: Path, task: Task, site: Site) -> None:
        self.folder = folder
        self.task = task
        self.site = site
        self.digests = Digests(folder / "digests")
        self._whole: set[Path] = set()
        shaping = {
            "version": CACHE_VERSION,
            "labels": [(name, site.labels[name]) for name in task.labels],
            "named": sorted(site.named_values),
            "lesions": sorted(task.lesions),
            "channels": task.channels,
            "uses mm": task.uses_mm,
            "modality": site.modality,
            "intensity": task.modalities[site.modality].model_dump(mode="json"),
            "spacing": task.spacing,
            "resize": task.resize,
            "scale": site.intensity.model_dump(mode="json"),
        }
        self._settings = json.dumps(shaping, sort_keys=True).encode()

    def key(self, case: Case) -> str:
        """Name of a case's entry: a digest of its files' content and of the settings that shape it.

        Raises:
            DataError: a file cannot be read.
        """
        digest = hashlib.sha256(self._settings)
        if (spacing := stated_spacing(self.site.data, case)) is not None:
            digest.update(repr(spacing).encode())
        for path in with_channels(case, self.task).files:
            try:
                digest.update(self.digests.of(path).encode())
            except OSError as error:
                raise unreadable(path, "a file", case.name, error) from None
        return digest.hexdigest()[:32]

    def load(self, case: Case, key: str | None = None) -> Volume:
        """Give a case from the cache, preparing it first where it is missing, outdated or damaged.

        Args:
            case: the files.
            key: the case's key as it was before, where a change of its files since then is an error.

        Raises:
            DataError: the case's files cannot be used, or changed.
        """
        try:
            return self._load(case, key or self.key(case))
        except OSError as error:
            raise self._unusable(str(error)) from None

    def _load(self, case: Case, key: str) -> Volume:
        entry = self.folder / key
        volume = self._open(entry)
        if volume is None:
            self._discard(entry)
            prepared = preprocess(case, self.task, self.site)
            if self.key(case) != key:
                raise DataError(
                    f"{case.image}: it or its label changed while they were in use.",
                    "Submit the job again once the files are at rest.",
                    code=ErrorCode.UNREADABLE_IMAGE,
                    case=case.name,
                )
            self._write(entry, *prepared)
            volume = self._open(entry)
        if volume is None:
            raise self._unusable("what was written cannot be read again")
        return volume

    def _unusable(self, reason: str) -> DataError:
        return DataError(
            f"{self.folder}: cannot keep prepared volumes ({reason}).",
            "Free space on that disk and check its permissions, or name another folder as cache in site.yaml.",
            code=ErrorCode.CACHE_UNUSABLE,
        )

    def _open(self, entry: Path) -> Volume | None:
        if entry not in self._whole:
            if not _is_whole(entry):
                return None
            self._whole.add(entry)
        return _open(entry)

    def _discard(self, entry: Path) -> None:
        """Take a damaged entry out of the way."""
        if not entry.exists():
            return
        with scratch_folder(self.folder) as grave, (self.folder / ".lock").open("w") as lock:
            # Another process may have replaced it since: under the lock nobody takes a whole one away.
            with suppress(OSError):  # a file system without locks
                fcntl.flock(lock, fcntl.LOCK_EX)
            if self._open(entry) is None and entry.exists():
                os.rename(entry, grave / "entry")

    def _write(self, entry: Path, image: np.ndarray, label: np.ndarray, spacing: np.ndarray) -> None:
        with scratch_folder(self.folder) as scratch:
            # Axial slices lie together on disk: a slice reads its own pages alone.
            np.save(scratch / "image.npy", np.asfortranarray(image), allow_pickle=False)
            np.save(scratch / "label.npy", np.asfortranarray(label), allow_pickle=False)
            np.save(scratch / "spacing.npy", spacing, allow_pickle=False)
            np.save(scratch / "foreground.npy", _foreground(label), allow_pickle=False)
            (scratch / _SUMS).write_text(json.dumps(_sums(scratch)))
            try:
                os.rename(scratch, entry)
            except OSError:
                if not entry.is_dir():  # another process was first: its entry is the same
                    raise


def _sums(entry: Path) -> dict[str, int]:
    sums = dict.fromkeys(_ARRAYS, 0)
    for name in _ARRAYS:
        with (entry / name).open("rb") as stream:
            while block := stream.read(_BLOCK):
                sums[name] = zlib.crc32(block, sums[name])
    return sums


def _is_whole(entry: Path) -> bool:
    """Whether the files of an entry are there, and as they were written."""
    try:
        return bool(json.loads((entry / _SUMS).read_bytes()) == _sums(entry))
    except (FileNotFoundError, NotADirectoryError, ValueError, RecursionError):
        return False


def in_memory(image: np.ndarray, label: np.ndarray, spacing: np.ndarray) -> Volume:
    """A prepared case as the cache would give it, without a cache."""
    return _volume(image, label, spacing, _foreground(label))


def _volume(image: np.ndarray, label: np.ndarray, spacing: np.ndarray, foreground: np.ndarray) -> Volume:
    own = [foreground[foreground[:, 0] == index, 1:] for index in range(len(label))]
    return Volume(image, label, spacing, own)


def _open(entry: Path) -> Volume | None:
    """The volume of an entry; None where it is missing or damaged."""
    try:
        return _volume(
            image=np.load(entry / "image.npy", mmap_mode="r", allow_pickle=False),
            label=np.load(entry / "label.npy", mmap_mode="r", allow_pickle=False),
            spacing=np.load(entry / "spacing.npy", allow_pickle=False),
            foreground=np.load(entry / "foreground.npy", allow_pickle=False),
        )
    except (FileNotFoundError, NotADirectoryError, ValueError, EOFError):
        return None


def _foreground(label: np.ndarray) -> np.ndarray:
    """Rows (label, x, y, z): evenly spaced picks among each label's voxels in memory order."""
    rows = []
    for index, mask in enumerate(label):
        voxels = np.argwhere(mask)
        if len(voxels) > _FOREGROUND_VOXELS:
            voxels = voxels[np.linspace(0, len(voxels) - 1, _FOREGROUND_VOXELS).round().astype(int)]
        rows.append(np.column_stack([np.full(len(voxels), index), voxels]))
    return np.concatenate(rows).astype(np.int32)
