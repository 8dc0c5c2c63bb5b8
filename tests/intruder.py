"""Kits of those who may not take part: a real site's kit with one thing wrong."""

from __future__ import annotations

import json
import shutil
import socket
import ssl
from contextlib import suppress
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from nvflare.lighter.utils import serialize_cert, serialize_pri_key

from kit import Authority
from secure_federation import SecureFederation


class Intruder:
    """A copy of a site's kit. Its owner can change everything in it, so NVFlare's own check of it is switched off.

    Args:
        federation: the federation to intrude on.
        name: name of the copy, below the federation's folder so that its processes end with it.
        site: the site whose kit is copied.
    """

    def __init__(self, federation: SecureFederation, name: str, site: str = "hospital-c") -> None:
        self.federation = federation
        self.site = site
        self.kit = federation.workspace.poc / "intruders" / name
        shutil.copytree(federation.kit(site), self.kit, ignore=shutil.ignore_patterns("*.fl", "*.txt", "*-*-*-*-*"))
        self.startup = self.kit / "startup"

    def unsigned(self) -> Intruder:
        """Without the list of signatures NVFlare has nothing to compare the files with."""
        (self.startup / "signature.json").unlink()
        return self

    def start(self) -> None:
        """Start it as a site is started."""
        self.federation.workspace.start_kit(self.kit)

    @property
    def output(self) -> str:
        """What it printed and logged."""
        texts = [self.federation.workspace.folder / f"{self.kit.name}.out", self.kit / "log.txt"]
        return "\n".join(path.read_text(errors="replace") for path in texts if path.is_file())


class FederationAuthority(Authority):
    """The federation's own root CA, from the folder that only the project admin has."""

    def __init__(self, federation: SecureFederation) -> None:
        state = json.loads((federation.workspace.kits.parent / "state" / "cert.json").read_text())
        self.key = serialization.load_pem_private_key(state["root_pri_key"].encode(), None)
        self.certificate = x509.load_pem_x509_certificate(state["root_cert"].encode())


def write_certificate(folder: Path, authority: Authority, days: float = 30) -> tuple[Path, Path]:
    """Write a certificate in a site's name that ends in so many days, or ended some days ago, and its key."""
    certificate, key = authority.issue("hospital-c", days)
    paths = folder / "client.crt", folder / "client.key"
    paths[0].write_bytes(serialize_cert(certificate))
    paths[1].write_bytes(serialize_pri_key(key))
    return paths


def knock(federation: SecureFederation, own: tuple[Path, Path] | None = None, *, tls: bool = True) -> bytes:
    """Speak to the server's port as an NVFlare client does, and give what it answers: nothing where it hangs up."""
    with (
        socket.create_connection(("localhost", federation.workspace.port), timeout=60) as plain,
        suppress(ssl.SSLError, ConnectionError),  # with TLS 1.3 the refusal comes in place of the first answer
    ):
        connection = plain
        if tls:
            context = ssl.create_default_context(cafile=str(federation.kit("hospital-a") / "startup" / "rootCA.pem"))
            context.check_hostname = False
            if own:
                context.load_cert_chain(*own)
            connection = context.wrap_socket(plain)
        connection.sendall(b"GET /x HTTP/1.1\r\nHost: localhost\r\n\r\n")
        return connection.recv(1000)
    return b""


def edit(path: Path, old: str, new: str) -> None:
    """Replace text in a file; it must be there."""
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
