"""What the server's port agrees to, scanned with OpenSSL's own client: versions, ciphers, no renegotiation.

The client offers what is refused, too: each scan is first shown to succeed with a server that takes anything.
"""

from __future__ import annotations

import shutil
import socket
import ssl
import subprocess
import warnings
from pathlib import Path

import pytest

from secure_federation import SecureFederation

pytestmark = pytest.mark.slow

ANYTHING = "ALL:COMPLEMENTOFALL:@SECLEVEL=0"
OLD = (ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1)
CURRENT = (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3)
_FORWARD_SECRET, _WEAK = ("ECDHE-", "DHE-"), ("NULL", "anon", "ADH", "AECDH", "RC4", "DES", "MD5", "EXP", "PSK")


def client(version: ssl.TLSVersion, ciphers: str = ANYTHING) -> ssl.SSLContext:
    """A client of one version that offers these ciphers and takes any certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_ciphers(ciphers)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of the old versions, which is why they are offered
        context.minimum_version = context.maximum_version = version
    return context


def agreed(secure: SecureFederation, context: ssl.SSLContext) -> tuple[str, str] | None:
    """Version and cipher that the server agrees to, with a site's certificate; None where it hangs up."""
    startup = secure.kit("hospital-a") / "startup"
    context.load_cert_chain(startup / "client.crt", startup / "client.key")
    with socket.create_connection(("localhost", secure.workspace.port), timeout=60) as plain:
        try:
            with context.wrap_socket(plain) as connection:
                connection.sendall(b"GET /x HTTP/1.1\r\nHost: localhost\r\n\r\n")
                assert connection.recv(1000)
                cipher = connection.cipher()
                assert cipher is not None
                return str(connection.version()), cipher[0]
        except (ssl.SSLError, ConnectionError):
            return None


def willing(secure: SecureFederation, context: ssl.SSLContext) -> bool:
    """Whether a server that takes anything would agree: without a network, in memory."""
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    startup = secure.kit(secure.server) / "startup"
    server.load_cert_chain(startup / "server.crt", startup / "server.key")
    server.set_ciphers(ANYTHING)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        server.minimum_version = ssl.TLSVersion.TLSv1
    pipes = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [context.wrap_bio(*pipes), server.wrap_bio(*reversed(pipes), server_side=True)]
    for _ in range(10):
        for end in ends:
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                continue
            except ssl.SSLError:
                return False
    return ends[0].version() is not None


@pytest.mark.parametrize("version", CURRENT, ids=lambda version: version.name)
def test_current_versions_are_spoken(secure: SecureFederation, version: ssl.TLSVersion) -> None:
    found = agreed(secure, client(version))
    assert found is not None
    assert found[0].replace(".", "_") == version.name


@pytest.mark.parametrize("version", OLD, ids=lambda version: version.name)
def test_old_versions_are_refused(secure: SecureFederation, version: ssl.TLSVersion) -> None:
    assert willing(secure, client(version))
    assert agreed(secure, client(version)) is None


def test_every_cipher_is_forward_secret_and_strong(secure: SecureFederation) -> None:
    offered = [
        str(cipher["name"])
        for cipher in client(ssl.TLSVersion.TLSv1_2).get_ciphers()
        if cipher["protocol"] != "TLSv1.3"
    ]
    possible = [name for name in offered if willing(secure, client(ssl.TLSVersion.TLSv1_2, f"{name}:@SECLEVEL=0"))]
    assert any(not name.startswith(_FORWARD_SECRET) for name in possible)  # else the scan would find nothing
    taken = [
        name for name in possible if agreed(secure, client(ssl.TLSVersion.TLSv1_2, f"{name}:@SECLEVEL=0")) is not None
    ]
    assert "ECDHE-RSA-AES256-GCM-SHA384" in taken
    for name in taken:
        assert name.startswith(_FORWARD_SECRET), taken
        assert not any(mark in name for mark in _WEAK), taken
        assert not name.endswith("-SHA"), taken
    found = agreed(secure, client(ssl.TLSVersion.TLSv1_3))
    assert found is not None
    assert found[1].startswith("TLS_")


def test_a_client_may_not_renegotiate(secure: SecureFederation) -> None:
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("Python's ssl cannot ask for a renegotiation, and openssl is not installed")
    startup = secure.kit("hospital-a") / "startup"
    where = ["-connect", f"localhost:{secure.workspace.port}", "-tls1_2"]
    own: list[str | Path] = ["-cert", startup / "client.crt", "-key", startup / "client.key"]
    done = subprocess.run(
        [openssl, "s_client", *where, *own],
        input="R\n",
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=60,
        check=False,
    )
    assert "RENEGOTIATING" in done.stdout, done.stdout
    assert "no renegotiation" in done.stdout, done.stdout
    assert "Compression: NONE" in done.stdout
