"""The record of what a prepared folder holds and from which files, by which an interrupted run goes on."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from flareseg.errors import DataError, ErrorCode
from flareseg.files import json_bytes, write_whole

_RECORD = "prepared.json"
_SAVE_SECONDS = 1.0


class Made:
    """Results of work on source files, each with the state of the files that it was made from.

    Args:
        folder: the prepared folder; a new or empty one, or one of the same layout and source.
        layout: the layout of the source.
        source: the source folder.

    Raises:
        DataError: the folder holds something else.
    """

    def __init__(self, folder: Path, layout: str, source: Path) -> None:
        self.path = folder / _RECORD
        origin = {"layout": layout, "source": str(source)}
        content = self._read(folder, origin)
        if {key: content.get(key) for key in origin} != origin:
            found = " from ".join(str(content.get(key)) for key in origin)
            raise _not_ours(folder, f"was prepared as {found}, not as {layout} from {source}.")
        self._content = content
        self._saved = 0.0

    def _read(self, folder: Path, origin: dict[str, str]) -> dict[str, Any]:
        if not self.path.exists():
            if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
                raise _not_ours(folder, "holds files that flareseg data prepare did not make.")
            return {**origin, "results": {}}
        try:
            content = json.loads(self.path.read_text(encoding="utf-8"))
            content["results"].items()
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            raise _not_ours(folder, f"holds a damaged {_RECORD}.") from None
        return dict(content)

    def forget(self, key: str) -> None:
        """Drop a result."""
        self._content["results"].pop(key, None)

    def get(self, key: str, state: str) -> Any:
        """The result of an earlier run for files in this state, or None."""
        found = self._content["results"].get(key)
        return found["result"] if found and found["state"] == state else None

    def put(self, key: str, state: str, result: Any) -> None:
        """Keep a result; it is on disk a second later, and after ``save``."""
        self._content["results"][key] = {"state": state, "result": result}
        if time.monotonic() - self._saved > _SAVE_SECONDS:
            self.save()

    def save(self) -> None:
        """Write the record."""
        write_whole(self.path, json_bytes(self._content))
        self._saved = time.monotonic()


def state_of(files: Iterable[Path], *settings: object) -> str:
    """A digest of the files' names, sizes and times, and of the settings that shape what is made from them."""
    digest = hashlib.sha256(repr(settings).encode())
    for path in files:
        status = path.stat()
        digest.update(os.fsencode(path) + f"|{status.st_size}|{status.st_mtime_ns}\n".encode())
    return digest.hexdigest()[:32]


def _not_ours(folder: Path, problem: str) -> DataError:
    return DataError(f"{folder}: {problem}", "Choose another folder, or remove this one.", code=ErrorCode.NO_DATA)
