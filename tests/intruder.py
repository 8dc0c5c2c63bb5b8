"""Kits of those who may not take part: a real site's kit with one thing wrong."""

from __future__ import annotations

import json
import shutil
from datetime import datetime, timedelta, timezone
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from secure_federation import SecureFederation

Issuer = tuple[rsa.RSAPrivateKey, x509.Name]


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

    def take_certificate(self, issuer: Issuer, days: int = 30) -> None:
        """Give it a certificate of an issuer, in the site's name."""
        key = rsa.generate_private_key(65537, 2048)
        own = x509.load_pem_x509_certificate((self.startup / "client.crt").read_bytes())
        certificate = issue(own.subject, key, issuer, days)
        (self.startup / "client.crt").write_bytes(certificate)
        (self.startup / "client.key").write_bytes(_pem(key))


def root_ca(federation: SecureFederation) -> Issuer:
    """The federation's own root CA, from the folder that only the project admin has."""
    state = json.loads((federation.workspace.kits.parent / "state" / "cert.json").read_text())
    key = serialization.load_pem_private_key(state["root_pri_key"].encode(), None)
    assert isinstance(key, rsa.RSAPrivateKey)
    return key, x509.load_pem_x509_certificate(state["root_cert"].encode()).subject


def other_ca() -> Issuer:
    """A root CA that calls itself like the federation's."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "flareseg")])
    return rsa.generate_private_key(65537, 2048), name


def issue(subject: x509.Name, key: rsa.RSAPrivateKey, issuer: Issuer, days: int) -> bytes:
    """A client's certificate that ends in so many days, or ended some days ago."""
    now = datetime.now(timezone.utc)
    usage = x509.KeyUsage(True, False, False, False, False, False, False, False, False)
    builder = (
        x509.CertificateBuilder(issuer[1], subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=60))
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
    )
    return builder.sign(issuer[0], hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def _pem(key: rsa.RSAPrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    )


def edit(path: Path, old: str, new: str) -> None:
    """Replace text in a file; it must be there."""
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
