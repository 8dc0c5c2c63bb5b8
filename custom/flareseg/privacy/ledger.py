"""A site's ledger: one line for each thing that left it, each bound to the line before by its hash."""

from __future__ import annotations

import fcntl
import hashlib
import json
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError

from flareseg.errors import DataError, ErrorCode

LEDGER_FILE = "ledger.jsonl"
_START = "0" * 64


class LedgerEntry(BaseModel):
    """One thing that left the site.

    ``norm`` is the L2 norm over its floating-point arrays, None where it holds none; ``size`` is in bytes before
    NVFlare's serialisation; ``sha256`` is over names, types, shapes and values.
    """

    model_config = ConfigDict(extra="forbid")

    number: int
    time: datetime
    job: str
    task: str
    round: int | None
    kind: str
    size: int
    norm: float | None
    sha256: str
    previous: str


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


def append(path: Path, *, job: str, task: str, round_number: int | None, kind: str, content: Any) -> LedgerEntry:
    """Write one entry and wait until the disk has it; several job processes may write at the same time.

    Raises:
        OSError: the entry could not be written.
        DataError: the last line is not one of a ledger.
    """
    digest = Digest(content)
    with path.open("a+b") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        last = _last_line(stream.fileno())
        before = _parse(last, path, "its last line") if last else None
        entry = LedgerEntry(
            number=before.number + 1 if before else 1,
            time=datetime.now(timezone.utc),
            job=job,
            task=task,
            round=round_number,
            kind=kind,
            size=digest.size,
            norm=digest.norm,
            sha256=digest.sha256,
            previous=hashlib.sha256(last).hexdigest() if last else _START,
        )
        stream.write(json.dumps(entry.model_dump(mode="json")).encode() + b"\n")
        stream.flush()
        os.fsync(stream.fileno())
    return entry


def read_ledger(path: Path) -> Iterator[LedgerEntry]:
    """Give the entries in order, checking that each follows the one before.

    A line that was changed, inserted or removed breaks the chain at the next line. Lines cut off at the end, and a
    change of the last line, leave no trace in the file itself: keep :func:`chain_end`.

    Raises:
        DataError: the ledger is missing, damaged, or was changed; names the line.
    """
    try:
        lines = path.read_bytes().splitlines()
    except OSError as error:
        raise DataError(
            f"{path}: cannot be read ({error.strerror}).",
            "A site has a ledger once a job ran there; give the site's kit.",
            code=ErrorCode.NO_LEDGER,
        ) from None
    previous = _START
    for number, line in enumerate(lines, start=1):
        entry = _parse(line, path, f"line {number}")
        if entry.number != number or entry.previous != previous:
            raise DataError(
                f"{path}: line {number} does not follow the one before: one was changed, or lines are missing.",
                "Compare the file with a backup; do not trust what stands from there on.",
                code=ErrorCode.NO_LEDGER,
            )
        previous = hashlib.sha256(line).hexdigest()
        yield entry


def chain_end(path: Path) -> str:
    """SHA-256 of the last line: who keeps it can tell later whether the ledger was changed or cut up to there."""
    return hashlib.sha256(b"".join(path.read_bytes().splitlines()[-1:])).hexdigest()


def _parse(line: bytes, path: Path, where: str) -> LedgerEntry:
    try:
        return LedgerEntry.model_validate_json(line)
    except ValidationError:
        raise DataError(
            f"{path}: {where} is not a ledger entry.",
            "Keep the file as evidence under another name; the next job starts a new one.",
            code=ErrorCode.NO_LEDGER,
        ) from None


def _last_line(descriptor: int) -> bytes:
    """The last line without its end, read from the end of the file; empty where the file is."""
    end = os.fstat(descriptor).st_size
    tail = b""
    while end and tail.count(b"\n") < 2:
        start = max(0, end - 4096)
        tail = os.pread(descriptor, end - start, start) + tail
        end = start
    return tail.rstrip(b"\n").rpartition(b"\n")[2]
