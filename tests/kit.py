"""A small startup kit with real certificates, made without provisioning, for unit tests of what reads kits."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from nvflare.lighter.utils import Identity, generate_cert, generate_keys, serialize_cert, serialize_pri_key

from flareseg.flare.provision.policy import CELL_BOUNDARY

CA = Identity("flareseg")


class Authority:
    """A root CA."""

    def __init__(self) -> None:
        self.key, public = generate_keys()
        start = datetime.now(timezone.utc) - timedelta(days=1000)
        self.certificate = generate_cert(CA, CA, self.key, public, valid_days=3650, ca=True, not_valid_before=start)

    def issue(self, name: str, days: float) -> tuple[x509.Certificate, RSAPrivateKey]:
        """A certificate that ends in so many days."""
        key, public = generate_keys()
        now = datetime.now(timezone.utc)
        start = now + timedelta(days=min(days, 0) - 360)
        subject = Identity(name, "hospital_a")
        certificate = generate_cert(
            subject, CA, self.key, public, not_valid_before=start, not_valid_after=now + timedelta(days=days)
        )
        return certificate, key


def put_certificate(kit: Path, certificate: x509.Certificate, key: RSAPrivateKey) -> None:
    """Write a certificate and its key into a kit."""
    (kit / "startup" / "client.crt").write_bytes(serialize_cert(certificate))
    (kit / "startup" / "client.key").write_bytes(serialize_pri_key(key))


def write_kit(folder: Path, authority: Authority, *, name: str = "hospital-a", days: float = 360.5) -> Path:
    """Write the kit of a site whose server would be localhost:8002."""
    for part in ("startup", "local"):
        (folder / part).mkdir(parents=True)
    service = {"target": "localhost:8002", "scheme": "http"}
    content: dict[str, Any] = {"servers": [{"name": "flareseg", "service": service}], "client": {"fqsn": name}}
    content["components"] = [{"id": "cell_boundary", "path": CELL_BOUNDARY, "args": {}}]
    (folder / "startup" / "fed_client.json").write_text(json.dumps(content))
    (folder / "startup" / "rootCA.pem").write_bytes(serialize_cert(authority.certificate))
    put_certificate(folder, *authority.issue(name, days))
    return folder
