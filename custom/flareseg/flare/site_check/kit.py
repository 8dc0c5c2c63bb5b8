"""The startup kit of a site or of the server, as far as the checks need it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flareseg.errors import SettingsError

_SITE, _SERVER, _ADMIN = "fed_client.json", "fed_server.json", "fed_admin.json"


@dataclass(frozen=True)
class Kit:
    """The kit of one site, or of the server.

    Attributes:
        folder: holds ``startup/`` and ``local/``.
        is_server: whose kit it is.
        name: the site's or the server's name.
        host: the server's host name.
        port: the server's port.
        scheme: NVFlare's transport, such as http or grpc.
    """

    folder: Path
    is_server: bool
    name: str
    host: str
    port: int
    scheme: str

    @property
    def startup(self) -> Path:
        """The files of the project admin; not to be edited."""
        return self.folder / "startup"

    @property
    def certificate(self) -> Path:
        """The certificate."""
        return self.startup / ("server.crt" if self.is_server else "client.crt")

    @property
    def key(self) -> Path:
        """Its private key."""
        return self.certificate.with_suffix(".key")

    @property
    def local(self) -> Path:
        """The site's own files."""
        return self.folder / "local"

    @property
    def startup_file(self) -> str:
        """Name of the configuration that NVFlare reads first."""
        return _SERVER if self.is_server else _SITE

    def startup_json(self) -> dict[str, Any]:
        """Read that configuration.

        Raises:
            SettingsError: the file is not a JSON object.
        """
        return _read(self.startup / self.startup_file)

    def local_json(self, name: str) -> dict[str, Any]:
        """Read a file of ``local/``; as NVFlare does, ``NAME`` before ``NAME.default``, and {} if it is missing.

        Raises:
            SettingsError: the file is not a JSON object.
        """
        for path in (self.local / name, self.local / f"{name}.default"):
            if path.is_file():
                return _read(path)
        return {}


def load_kit(folder: Path) -> Kit:
    """Read a kit.

    Raises:
        SettingsError: the folder is no kit of a site or a server.
    """
    folder = folder.resolve()
    startup = folder / "startup"
    if (startup / _ADMIN).is_file():
        raise SettingsError(f"{folder}: is the kit of an admin.", "Give the kit of a site or server, with --kit.")
    is_server = (startup / _SERVER).is_file()
    path = startup / (_SERVER if is_server else _SITE)
    if not path.is_file():
        raise SettingsError(
            f"{folder}: is not a startup kit (no startup/{_SITE}).", "Run in the unpacked kit, or give it with --kit."
        )
    content = _read(path)
    try:
        (server, *_) = content["servers"]
        service = server["service"]
        host, _, port = str(service["target"]).rpartition(":")
        name = str(server["admin_server"] if is_server else content["client"]["fqsn"])
        return Kit(folder, is_server, name, host, int(port), str(service.get("scheme", "grpc")))
    except (KeyError, TypeError, ValueError) as error:
        raise SettingsError(
            f"{path}: cannot be used ({type(error).__name__}: {error}).",
            "Unpack the kit anew: files below startup/ are not to be edited.",
        ) from None


def _read(path: Path) -> dict[str, Any]:
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise SettingsError(f"{path}: is not a JSON object ({error}).", "Mend it, or unpack the kit anew.") from None
