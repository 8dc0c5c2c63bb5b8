"""Files that appear whole or not at all, with the same bytes in every run."""

from __future__ import annotations

import fcntl
import gzip
import hashlib
import io
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import nibabel as nib
import numpy as np
from numpy.typing import NDArray

_PAUSE_SECONDS = 0.2


@contextmanager
def replacing(path: Path) -> Iterator[IO[bytes]]:
    """Write a file beside ``path`` and move it there once it is on the disk; one writer at a time.

    Whatever happens, ``path`` holds either all of the old content or all of the new. What a killed process leaves
    (``.name.part``) is overwritten by the next write.

    Raises:
        OSError: the disk is full, or the folder cannot be written; the old file stays.
    """
    part = path.with_name(f".{path.name}.part")
    try:
        with part.open("wb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(part, path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)  # the new name survives a power cut too
    finally:
        os.close(folder)


def hold(path: Path, patience: float = 0.0) -> IO[bytes]:
    """Take a lock that stands for something only one process at a time may use, such as a run's files.

    The kernel lets go of it with the process, however that ends; the file itself stays.

    Args:
        path: a file that exists for the lock alone; made when missing. It holds the number of who has the lock.
        patience: seconds to wait for another process to end.

    Returns:
        The open file. Closing or dropping it lets go.

    Raises:
        BlockingIOError: another process has it; ``filename`` is the path and ``strerror`` says which process.
    """
    deadline = time.monotonic() + patience
    stream = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o600), "r+b")
    while True:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except BlockingIOError as error:
            if time.monotonic() >= deadline:
                with stream:
                    owner = stream.read(20).decode(errors="replace")
                raise BlockingIOError(error.errno, f"process {owner or 'unknown'} has it", str(path)) from None
            time.sleep(_PAUSE_SECONDS)
    stream.truncate(0)
    stream.write(str(os.getpid()).encode())
    stream.flush()
    return stream


def json_bytes(content: object) -> bytes:
    """Readable JSON."""
    return (json.dumps(content, indent=2) + "\n").encode()


def nifti_bytes(array: NDArray[Any], affine: NDArray[np.float64], description: str) -> bytes:
    """A compressed NIfTI file.

    Args:
        array: (X, Y, Z), of a dtype that NIfTI has.
        affine: (4, 4), voxel indices to RAS+ mm.
        description: where it comes from, at most 79 characters.
    """
    image = nib.Nifti1Image(array, affine)
    image.set_qform(affine, code=1)
    image.set_sform(affine, code=1)
    image.header.set_xyzt_units("mm")
    image.header["descrip"] = description.encode()
    packed = io.BytesIO()
    # No name and no time in the header: the same case is the same bytes in every run.
    with gzip.GzipFile(filename="", mode="wb", compresslevel=1, fileobj=packed, mtime=0) as stream:
        stream.write(image.to_bytes())
    return packed.getvalue()


def sha256_of(path: Path) -> str:
    """SHA-256 of a file, in hex; it need not fit into memory."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def write_whole(path: Path, content: bytes) -> None:
    """Write a file beside its place and rename it; leave it alone if it already says so."""
    if path.exists() and path.read_bytes() == content:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as stream:
        stream.write(content)
