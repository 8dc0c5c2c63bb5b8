"""A site's ledger: one line for each thing that left it, each bound to the line before by its hash."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np

from flareseg.errors import DataError, ErrorCode
from flareseg.privacy.chain import Chain, Link

LEDGER_FILE = "ledger.jsonl"


class LedgerEntry(Link):
    """One thing that left the site.

    ``recipient`` is the participant that it went to, as the cell is named; empty where nothing left (a line of the
    budget) and in entries of earlier versions.
    ``norm`` is the L2 norm over its floating-point arrays, None where it holds none; ``size`` is in bytes before
    NVFlare's serialisation; ``sha256`` is over names, types, shapes and values.
    """

    time: datetime
    job: str
    task: str
    round: int | None
    kind: str
    recipient: str = ""
    size: int
    norm: float | None
    sha256: str


class Digest:
    """SHA-256, size and norm of nested plain content: mappings, sequences, arrays, numbers, text and bytes."""

    def __init__(self, content: Any) -> None:
        self._hash = hashlib.sha256()
        self._squares: float | None = None
        self.size = 0
        self._take(content)
        self.sha256 = self._hash.hexdigest()
        self.norm = None if self._squares is None else math.sqrt(self._squares)

    def _take(self, value: Any) -> None:
        if isinstance(value, Mapping):
            self._feed(b"{")
            for key in sorted(value, key=str):
                self._feed(repr(str(key)).encode())
                self._take(value[key])
            self._feed(b"}")
        elif isinstance(value, (np.ndarray, np.generic)) and value.dtype != object:
            self._take_array(np.ascontiguousarray(value))
        elif hasattr(value, "serialize"):  # a ciphertext
            self._feed(value.serialize())
        elif isinstance(value, (bytes, bytearray, memoryview)):
            self._feed(bytes(value))
        elif isinstance(value, Sequence) and not isinstance(value, str):
            self._feed(b"[")
            for item in value:
                self._take(item)
            self._feed(b"]")
        else:
            self._feed(repr(value).encode())

    def _take_array(self, array: np.ndarray) -> None:
        self._hash.update(f"{array.dtype.str}{array.shape}".encode())
        self._feed(array.tobytes())
        if array.dtype.kind == "f":
            flat = array.reshape(-1).astype(np.float64, copy=False)
            self._squares = (self._squares or 0.0) + float(flat @ flat)

    def _feed(self, content: bytes) -> None:
        self._hash.update(len(content).to_bytes(8, "big"))  # where one piece ends and the next begins
        self._hash.update(content)
        self.size += len(content)


def append(
    path: Path, *, job: str, task: str, round_number: int | None, kind: str, recipient: str, content: Any
) -> LedgerEntry:
    """Write one entry and wait until the disk has it; several job processes may write at the same time.

    Raises:
        OSError: the entry could not be written.
        DataError: the last line is not one of a ledger.
    """
    digest = Digest(content)
    with _chain(path).appending() as writer:
        entry, _ = writer.write(
            time=datetime.now(timezone.utc),
            job=job,
            task=task,
            round=round_number,
            kind=kind,
            recipient=recipient,
            size=digest.size,
            norm=digest.norm,
            sha256=digest.sha256,
        )
    return entry


def read_ledger(path: Path) -> Iterator[LedgerEntry]:
    """Give the entries in order, checking that each follows the one before.

    Raises:
        DataError: the ledger is missing, damaged, or was changed; names the line.
    """
    if not path.exists():
        raise DataError(
            f"{path}: cannot be read (no such file).",
            "A site has a ledger once a job ran there; give the site's kit.",
            code=ErrorCode.NO_LEDGER,
        )
    yield from _chain(path).read()


def last_of_kind(path: Path, kind: str) -> LedgerEntry | None:
    """The last entry of a kind; None if there is none.

    Raises:
        DataError: the line is no entry.
        OSError: the ledger cannot be read.
    """
    chain = _chain(path)
    mark = f'"kind": "{kind}"'.encode()
    line = next((line for line in reversed(chain.lines()) if mark in line), None)
    return None if line is None else chain.parse(line, f"the last line of kind {kind}")


def chain_end(path: Path) -> str:
    """SHA-256 of the last line: who keeps it can tell later whether the ledger was changed or cut up to there."""
    return _chain(path).end()


def _chain(path: Path) -> Chain[LedgerEntry]:
    remedy = "Keep the file as evidence under another name and compare it with a backup; the next job starts a new one."
    return Chain(path, LedgerEntry, "ledger", ErrorCode.NO_LEDGER, remedy)
