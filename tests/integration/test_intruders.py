"""Who is no site of the federation gets in nowhere: the server says so in its log, and the federation works on."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from contextlib import suppress

import pytest

from federation import tiny_changes
from flareseg.poc.processes import end_processes
from intruder import Intruder, edit, other_ca, root_ca
from secure_federation import SecureFederation, eventually

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def others_stay(secure: SecureFederation) -> Iterator[None]:
    """Whatever an intruder did, every site is there afterwards, and no intruder's process is left."""
    yield
    end_processes(secure.workspace.poc / "intruders", patience=0)
    secure.wait_for_sites(secure.site_names)


def test_a_certificate_of_another_ca_is_refused(secure: SecureFederation) -> None:
    intruder = Intruder(secure, "other-ca").unsigned()
    intruder.take_certificate(other_ca())
    intruder.start()
    line = "TLS connection from 127.0.0.1 refused: the certificate is of another CA"
    eventually(lambda: line in secure.server_log(), f"in the server's log: {line}")
    assert "Successfully registered" not in intruder.output


def test_a_certificate_past_its_date_is_refused(secure: SecureFederation) -> None:
    intruder = Intruder(secure, "expired").unsigned()
    intruder.take_certificate(root_ca(secure), days=-1)
    intruder.start()
    line = "TLS connection from 127.0.0.1 refused: the certificate is past its date"
    eventually(lambda: line in secure.server_log(), f"in the server's log: {line}")
    assert "Successfully registered" not in intruder.output


def test_a_client_without_a_certificate_is_refused(secure: SecureFederation) -> None:
    context = ssl.create_default_context(cafile=str(secure.kit("hospital-a") / "startup" / "rootCA.pem"))
    context.check_hostname = False
    answer = b""
    with (
        socket.create_connection(("localhost", secure.workspace.port), timeout=30) as plain,
        suppress(ssl.SSLError, ConnectionError),  # with TLS 1.3 the refusal comes in place of the first answer
        context.wrap_socket(plain) as connection,
    ):
        connection.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        answer = connection.recv(1000)
    assert answer == b""
    line = "TLS connection from 127.0.0.1 refused: no certificate was shown"
    eventually(lambda: line in secure.server_log(), f"in the server's log: {line}")


def test_a_client_that_speaks_no_tls_is_refused(secure: SecureFederation) -> None:
    with socket.create_connection(("localhost", secure.workspace.port), timeout=30) as plain, suppress(ConnectionError):
        plain.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert not plain.recv(1000).startswith(b"HTTP")
    line = "TLS connection from 127.0.0.1 refused: no TLS was spoken"
    eventually(lambda: line in secure.server_log(), f"in the server's log: {line}")


@pytest.mark.parametrize("name", ["hospital-b", "hospital-x"], ids=["a site's that is there", "a new one"])
def test_a_site_that_takes_another_name_is_refused(secure: SecureFederation, name: str) -> None:
    intruder = Intruder(secure, f"as-{name}").unsigned()
    edit(intruder.startup / "sub_start.sh", f"uid={intruder.site}", f"uid={name}")
    edit(intruder.startup / "fed_client.json", f'"fqsn": "{intruder.site}"', f'"fqsn": "{name}"')
    before = secure.server_log().count("failed to verify client identity: CNMismatch")
    intruder.start()
    eventually(
        lambda: secure.server_log().count("failed to verify client identity: CNMismatch") > before,
        "in the server's log: failed to verify client identity: CNMismatch",
    )
    assert "Successfully registered" not in intruder.output


def test_a_kit_with_a_changed_file_does_not_start(secure: SecureFederation) -> None:
    intruder = Intruder(secure, "changed")
    edit(intruder.startup / "fed_client.json", '"connection_security": "mtls"', '"connection_security": "tls"')
    intruder.start()
    eventually(
        lambda: "The following files are not secure content.\nfed_client.json" in intruder.output,
        "told by the kit: fed_client.json is not secure content",
    )


def test_the_federation_works_on(secure: SecureFederation) -> None:
    record, _ = secure.run(tiny_changes())
    assert record.status == "complete"
