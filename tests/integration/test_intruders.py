"""Who is no site of the federation gets in nowhere: the server says so in its log, and the federation works on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from nvflare.lighter.utils import serialize_cert

from federation import tiny_changes
from flareseg.processes import end_processes
from intruder import FederationAuthority, Intruder, edit, knock, write_certificate
from kit import Authority, put_certificate
from secure_federation import SecureFederation, eventually

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def others_stay(secure: SecureFederation) -> Iterator[None]:
    """Whatever an intruder did, every site is there afterwards, and no intruder's process is left."""
    yield
    end_processes(secure.workspace.poc / "intruders", patience=0)
    secure.wait_for_sites(secure.site_names)


def test_a_site_s_certificate_opens_the_door(secure: SecureFederation) -> None:
    """Else the refusals below would say nothing."""
    startup = secure.kit("hospital-a") / "startup"
    assert knock(secure, (startup / "client.crt", startup / "client.key")).startswith(b"HTTP/1.1 ")


@contextmanager
def refused(secure: SecureFederation, reason: str) -> Iterator[None]:
    """Wait for one more line in the server's log that names the reason."""
    line = f"TLS connection from 127.0.0.1 refused: {reason}"
    before = secure.server_log().count(line)
    yield
    eventually(lambda: secure.server_log().count(line) > before, f"once more in the server's log: {line}")


def test_a_certificate_of_another_ca_is_refused(secure: SecureFederation, tmp_path: Path) -> None:
    with refused(secure, "the certificate is of another CA"):
        assert knock(secure, write_certificate(tmp_path, Authority())) == b""


def test_a_site_with_a_certificate_of_another_ca_does_not_register(secure: SecureFederation) -> None:
    """NVFlare's own client, with all of a real site's kit but its certificate.

    It connects only where the first root it knows issued its own certificate, so the intruder puts that one there.
    """
    intruder, authority = Intruder(secure, "foreign").unsigned(), Authority()
    put_certificate(intruder.kit, *authority.issue(intruder.site, 30))
    root = intruder.startup / "rootCA.pem"
    root.write_bytes(serialize_cert(authority.certificate) + root.read_bytes())
    with refused(secure, "the certificate is of another CA"):
        intruder.start()
    assert "Successfully registered" not in intruder.output


def test_a_certificate_past_its_date_is_refused(secure: SecureFederation, tmp_path: Path) -> None:
    with refused(secure, "the certificate is past its date"):
        assert knock(secure, write_certificate(tmp_path, FederationAuthority(secure), days=-1)) == b""


def test_a_client_without_a_certificate_is_refused(secure: SecureFederation) -> None:
    with refused(secure, "no certificate was shown"):
        assert knock(secure) == b""


def test_a_client_that_speaks_no_tls_is_refused(secure: SecureFederation) -> None:
    with refused(secure, "no TLS was spoken"):
        assert not knock(secure, tls=False).startswith(b"HTTP")


@pytest.mark.parametrize("name", ["hospital-b", "hospital-x"], ids=["a site's that is there", "a new one"])
def test_a_site_that_takes_another_name_is_refused(secure: SecureFederation, name: str) -> None:
    intruder = Intruder(secure, f"as-{name}").unsigned()
    edit(intruder.startup / "sub_start.sh", f"uid={intruder.site}", f"uid={name}")
    edit(intruder.startup / "fed_client.json", f'"fqsn": "{intruder.site}"', f'"fqsn": "{name}"')
    line = f"authenticated as '{intruder.site}' but claimed endpoint '{name}' requires identity '{name}'"
    assert line not in secure.server_log()
    intruder.start()
    eventually(lambda: line in secure.server_log(), f"in the server's log: {line}")
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
