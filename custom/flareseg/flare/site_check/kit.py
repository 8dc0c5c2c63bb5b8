"""A site's startup kit, as far as the checks need it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flareseg.errors import SettingsError

_CONFIG = "fed_client.json"
_OTHERS = {"fed_server.json": "a server", "fed_admin.json": "an admin"}


@dataclass(frozen=True)
class Kit:
    """The kit of one site.

    Attributes:
        folder: holds ``startup/`` and ``local/``.
        name: the site's name.
        host: the server's host name.
        port: the server's port.
        scheme: NVFlare's transport, such as http or grpc.
    """

    folder: Path
    name: str
    host: str
    port: int
    scheme: str

    @property
    def startup(self) -> Path:
        """The files of the project admin; not to be edited."""
        return self.folder / "startup"

    @property
    def local(self) -> Path:
        """The site's own files."""
        return self.folder / "local"

    def local_json(self, name: str) -> dict[str, Any]:
        """Read a file of ``local/``; as NVFlare does, ``NAME`` before ``NAME.default``, and {} where there is none.

        Raises:
            SettingsError: the file is not a JSON object.
        """
        for path in (self.local / name, self.local / f"{name}.default"):
            if path.is_file():
                return _read(path)
        return {}


def load_kit(folder: Path) -> Kit:
    """Read a site's kit.

    Raises:
        SettingsError: the folder is no kit of a site; the error says what it is.
    """
    folder = folder.resolve()
    startup = folder / "startup"
    for name, whose in _OTHERS.items():
        if (startup / name).is_file():
            raise SettingsError(f"{folder}: is the kit of {whose}.", "Give the kit of a site, with --kit.")
    if not (startup / _CONFIG).is_file():
        raise SettingsError(
            f"{folder}: is not a startup kit (no startup/{_CONFIG}).", "Run in the unpacked kit, or give it with --kit."
        )
    content = _read(startup / _CONFIG)
    try:
        service = content["servers"][0]["service"]
        host, _, port = str(service["target"]).rpartition(":")
        return Kit(folder, str(content["client"]["fqsn"]), host, int(port), str(service.get("scheme", "grpc")))
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise SettingsError(
            f"{startup / _CONFIG}: cannot be used ({type(error).__name__}: {error}).",
            "Unpack the kit anew: files below startup/ are not to be edited.",
        ) from None


def _read(path: Path) -> dict[str, Any]:
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise SettingsError(f"{path}: is not a JSON object ({error}).", "Mend it, or unpack the kit anew.") from None
