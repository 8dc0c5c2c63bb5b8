"""Re-provisioning keeps the root CA and every good certificate, and renews what ends or no longer fits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from nvflare.lighter.entity import Project
from nvflare.lighter.impl.static_file import StaticFileBuilder
from nvflare.lighter.impl.workspace import WorkspaceBuilder
from nvflare.lighter.provisioner import Provisioner
from nvflare.lighter.utils import verify_cert

from flareseg.flare.provision.certificates import RenewingCertBuilder


def _provision(
    folder: Path, *, renew_days: int = 60, sites: tuple[str, ...] = ("a", "b"), client: Any = None, **server: Any
) -> Path:
    project = Project("study", "")
    project.set_server("fl.example.org", "consortium", server)
    for site in sites:
        project.add_client(f"hospital-{site}", f"hospital_{site}", dict(client or {}))
    builders = [
        WorkspaceBuilder(),
        StaticFileBuilder(config_folder="config"),
        RenewingCertBuilder(renew_days=renew_days),
    ]
    context = Provisioner(str(folder), builders).provision(project)
    return Path(context.get_result_location())


def _certificate(kit: Path) -> x509.Certificate:
    (path,) = (kit / "startup").glob("*.crt")
    return x509.load_pem_x509_certificate(path.read_bytes())


def _root(kits: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate((kits / "hospital-a" / "startup" / "rootCA.pem").read_bytes())


def test_a_later_run_changes_no_certificate(tmp_path: Path) -> None:
    first, second = _provision(tmp_path), _provision(tmp_path)
    for name in ("fl.example.org", "hospital-a", "hospital-b"):
        assert _certificate(first / name) == _certificate(second / name)
    assert (first / "hospital-a/startup/client.key").read_text() == (
        second / "hospital-a/startup/client.key"
    ).read_text()


def test_a_site_added_later_is_signed_by_the_same_root(tmp_path: Path) -> None:
    first, second = _provision(tmp_path), _provision(tmp_path, sites=("a", "b", "c"))
    assert _root(first) == _root(second)
    verify_cert(_certificate(second / "hospital-c"), _root(first).public_key())
    assert _certificate(first / "hospital-a") == _certificate(second / "hospital-a")


def test_a_certificate_near_its_end_is_renewed_under_the_same_name_and_root(tmp_path: Path) -> None:
    first, second = _provision(tmp_path), _provision(tmp_path, renew_days=400)
    old, new = _certificate(first / "hospital-a"), _certificate(second / "hospital-a")
    assert new.serial_number != old.serial_number
    assert new.public_key() != old.public_key()
    assert new.subject == old.subject
    verify_cert(new, _root(first).public_key())
    assert _root(first) == _root(second)


def test_a_renewed_server_keeps_the_key_that_running_sites_know(tmp_path: Path) -> None:
    """NVFlare's server signs each site's token with it, and no site asks for a new token by itself."""
    first, second = _provision(tmp_path), _provision(tmp_path, renew_days=400)
    old, new = _certificate(first / "fl.example.org"), _certificate(second / "fl.example.org")
    assert new.serial_number != old.serial_number
    assert new.public_key() == old.public_key()
    key = "fl.example.org/startup/server.key"
    assert (first / key).read_text() == (second / key).read_text()
    verify_cert(new, _root(first).public_key())
    assert 359 <= (new.not_valid_after_utc - new.not_valid_before_utc).days <= 360


def test_a_renewed_server_s_key_goes_to_nobody_else(tmp_path: Path) -> None:
    """A site that listens for its own processes gets a server's certificate too, of its own."""
    listens = {"listening_host": {"default_host": "localhost", "port": 8102}}
    _provision(tmp_path, client=listens)
    second = _provision(tmp_path, renew_days=400, client=listens)
    keys = [path.read_text() for path in second.rglob("server.key")]
    assert len(keys) == len({*keys}) == 3


def test_a_server_with_another_host_name_gets_a_certificate_that_names_it(tmp_path: Path) -> None:
    first = _provision(tmp_path)
    second = _provision(tmp_path, host_names=["fl2.example.org"])
    names = _certificate(second / "fl.example.org").extensions.get_extension_for_class(x509.SubjectAlternativeName)
    assert "fl2.example.org" in names.value.get_values_for_type(x509.DNSName)
    assert _certificate(first / "hospital-a") == _certificate(second / "hospital-a")


def test_another_life_of_the_root_is_refused_and_the_state_kept(tmp_path: Path) -> None:
    _provision(tmp_path)
    state = (tmp_path / "study" / "state" / "cert.json").read_text()
    project = Project("study", "")
    project.set_server("fl.example.org", "consortium", {})
    with pytest.raises(ValueError, match="root_valid_days=100 does not match"):
        RenewingCertBuilder(root_valid_days=100).initialize(project, _Context(tmp_path / "study"))
    assert (tmp_path / "study" / "state" / "cert.json").read_text() == state


class _Context(dict[str, Any]):
    """As much of NVFlare's context as initialize needs."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder = folder

    def get_state_dir(self) -> str:
        return str(self.folder / "state")
