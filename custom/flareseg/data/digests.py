"""What files hold, by SHA-256, remembered beside the cache: an unchanged file is not read again."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
import time
from contextlib import suppress
from pathlib import Path

_BLOCK = 1 << 20
_SETTLED_SECONDS = 2.0  # a change within the clock's grain of the last one might go unseen (FAT: 2 s)


class Digests:
    """Digests of files, one small file for each in a folder.

    A digest is believed while the size and the times of last change of content and of inode are as they were; the
    folder names no file and no path.

    Args:
        folder: where digests lie; made when missing.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def of(self, path: Path) -> str:
        """SHA-256 of a file's content, in hex.

        Raises:
            OSError: the file cannot be read.
        """
        note = self._note(path)
        seen = _stamp(path)
        try:
            known = json.loads(note.read_text())
            if known["stamp"] == seen:
                return str(known["sha256"])
        except (OSError, ValueError, KeyError, TypeError):
            pass  # none, or damaged: made anew
        digest = hashlib.sha256()
        with path.open("rb") as stream:
            while block := stream.read(_BLOCK):
                digest.update(block)
        settled = time.time() - max(seen[1:]) / 1e9 > _SETTLED_SECONDS
        if settled and _stamp(path) == seen:
            with suppress(OSError):  # a note that cannot be kept costs a second reading, no more
                self._keep(note, {"stamp": seen, "sha256": digest.hexdigest()})
        return digest.hexdigest()

    def forget(self, path: Path) -> None:
        """Drop what is remembered of a file."""
        self._note(path).unlink(missing_ok=True)

    def _note(self, path: Path) -> Path:
        return self.folder / f"{hashlib.sha256(os.fsencode(path.absolute())).hexdigest()}.json"

    def _keep(self, note: Path, content: dict[str, object]) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=self.folder, prefix=".note-", delete=False) as stream:
            json.dump(content, stream)
        os.replace(stream.name, note)


def _stamp(path: Path) -> list[int]:
    status = path.stat()
    return [status.st_size, status.st_mtime_ns, status.st_ctime_ns]
