"""Files of JSON lines that only grow, each line bound to the one before by its hash: a site's ledger and its budget."""

from __future__ import annotations

import fcntl
import hashlib
import json
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from flareseg.errors import DataError, ErrorCode

START = "0" * 64
"""What the first line names as the one before it."""
_BLOCK = 4096

logger = logging.getLogger(__name__)


class Link(BaseModel):
    """What every line has: its number from 1, and the SHA-256 of the line before."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    number: int
    previous: str


L = TypeVar("L", bound=Link)


def line_hash(line: bytes) -> str:
    """SHA-256 of a line without its end, in hex."""
    return hashlib.sha256(line).hexdigest()


@dataclass(frozen=True)
class Chain(Generic[L]):
    """A chain in a file that only its owner can read.

    A line counts once its end is on the disk. What a full disk or a killed process left of one is no line: readers do
    not see it, and the next writer takes it back. Lines cut off at the end, and a change of the last one, leave no
    trace in the file itself: whoever keeps the hash of the last line can tell.

    Attributes:
        path: the file; made when missing.
        kind: what a line holds.
        name: of the file, for errors.
        code: of errors.
        remedy: for a file that was changed.
    """

    path: Path
    kind: type[L]
    name: str
    code: ErrorCode
    remedy: str

    def lines(self) -> list[bytes]:
        """The complete lines, unchecked; none where the file is missing.

        Raises:
            OSError: it cannot be read.
        """
        try:
            return self.path.read_bytes().split(b"\n")[:-1]
        except FileNotFoundError:
            return []

    def read(self) -> Iterator[L]:
        """Give the entries in order, checking that each follows the one before.

        Raises:
            DataError: the file cannot be read, or a line was changed, inserted or removed; names the line.
        """
        try:
            lines = self.lines()
        except OSError as error:
            raise DataError(
                f"{self.path}: cannot be read ({error.strerror}).", "Check its permissions.", code=self.code
            ) from None
        previous = START
        for number, line in enumerate(lines, start=1):
            entry = self.parse(line, f"line {number}")
            if entry.number != number or entry.previous != previous:
                raise self._error(
                    f"line {number} does not follow the one before: one was changed, or lines are missing"
                )
            previous = line_hash(line)
            yield entry

    def end(self) -> str:
        """SHA-256 of the last line; :data:`START` for an empty chain."""
        lines = self.lines()
        return line_hash(lines[-1]) if lines else START

    @contextmanager
    def appending(self) -> Iterator[Writer[L]]:
        """Hold off other processes, and write.

        Raises:
            DataError: the last line is no entry.
            OSError: the file cannot be written.
        """
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield Writer(self, descriptor)
        finally:
            os.close(descriptor)

    def parse(self, line: bytes, where: str) -> L:
        """Read one line.

        Raises:
            DataError: it is no entry.
        """
        try:
            return self.kind.model_validate_json(line)
        except ValidationError:
            raise self._error(f"{where} is not a {self.name} entry") from None

    def _error(self, message: str) -> DataError:
        return DataError(f"{self.path}: {message}.", self.remedy, code=self.code)


class Writer(Generic[L]):
    """Adds lines to a chain that is locked."""

    def __init__(self, chain: Chain[L], descriptor: int) -> None:
        self._chain = chain
        self._descriptor = descriptor
        size = os.fstat(descriptor).st_size
        self._size, last = _complete(descriptor, size)
        if self._size < size:
            os.ftruncate(descriptor, self._size)
            logger.warning(f"{chain.path}: {size - self._size} bytes of a line that was never finished are taken back")
        before = chain.parse(last, "its last line") if last else None
        self.number = before.number + 1 if before else 1
        self.previous = line_hash(last) if last else START

    def write(self, **content: Any) -> tuple[L, bytes]:
        """Write one entry and wait until the disk has it.

        Args:
            content: the fields of the entry but for those of :class:`Link`.

        Returns:
            The entry and its line.

        Raises:
            OSError: it could not be written; the file is as before.
        """
        entry = self._chain.kind(number=self.number, previous=self.previous, **content)
        line = json.dumps(entry.model_dump(mode="json")).encode()
        try:
            _write(self._descriptor, line + b"\n")
            os.fsync(self._descriptor)
        except OSError:
            os.ftruncate(self._descriptor, self._size)
            raise
        self._size += len(line) + 1
        self.number, self.previous = self.number + 1, line_hash(line)
        return entry, line


def _write(descriptor: int, content: bytes) -> None:
    while content:
        content = content[os.write(descriptor, content) :]


def _complete(descriptor: int, size: int) -> tuple[int, bytes]:
    """Bytes of the complete lines of a file, and the last of them without its end."""
    start, tail = size, b""
    while start and tail.count(b"\n") < 2:
        start = max(0, start - _BLOCK)
        tail = os.pread(descriptor, size - start, start)
    complete = tail[: tail.rfind(b"\n") + 1]
    return start + len(complete) if complete else 0, complete[:-1].rpartition(b"\n")[2]
