"""``flareseg site check`` against a real server over TLS: each wrong step is caught with its remedy."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from nvflare.lighter.utils import Identity, generate_cert, generate_keys, sign_folders

from flareseg.flare.site_check.kit import load_kit
from flareseg.flare.site_check.report import Verdict
from flareseg.flare.site_check.run import check_site
from flareseg.processes import free_port
from kit import Authority, put_certificate
from secure_federation import SecureFederation

pytestmark = pytest.mark.slow
SITE = "hospital-c"


class Case:
    """A copy of a running site's kit, to be spoiled."""

    def __init__(self, secure: SecureFederation, folder: Path) -> None:
        self.kit = folder / SITE
        for part in ("startup", "local"):
            shutil.copytree(secure.kit(SITE) / part, self.kit / part)
        state = json.loads((secure.workspace.poc / "flareseg/state/cert.json").read_text())
        self.ca_key: Any = load_pem_private_key(state["root_pri_key"].encode(), password=None)
        root = x509.load_pem_x509_certificate((self.kit / "startup/rootCA.pem").read_bytes())
        self.ca = Identity(str(root.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)[0].value))

    def target(self, target: str) -> None:
        """Let the project admin have written another server into the kit."""
        path = self.kit / "startup/fed_client.json"
        content = json.loads(path.read_text())
        content["servers"][0]["service"]["target"] = target
        path.write_text(json.dumps(content))
        self.sign()

    def sign(self) -> None:
        sign_folders(str(self.kit / "startup"), self.ca_key, signature_file="signature.json")

    def certificate(self, days: float, name: str = SITE) -> None:
        """Put a certificate of the federation's CA into the kit that ends in so many days."""
        key, public = generate_keys()
        now = datetime.now(timezone.utc)
        life = {"not_valid_before": now - timedelta(days=400), "not_valid_after": now + timedelta(days=days)}
        put_certificate(self.kit, generate_cert(Identity(name), self.ca, self.ca_key, public, **life), key)
        self.sign()

    def site_yaml(self, **data: Any) -> None:
        path = self.kit / "local/site.yaml"
        content = yaml.safe_load(path.read_text())
        content["data"].update(data)
        path.write_text(yaml.safe_dump(content))


@contextmanager
def plain_server() -> Iterator[int]:
    """A port that answers, but speaks no TLS."""
    with socket.create_server(("localhost", 0)) as server:

        def answer() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(1024)
                connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        thread = Thread(target=answer)
        thread.start()
        yield server.getsockname()[1]
        thread.join(timeout=60)


def no_data(case: Case, port: int) -> None:
    (case.kit / "empty").mkdir()
    case.site_yaml(root=str(case.kit / "empty"))


def other_ca(case: Case, port: int) -> None:
    put_certificate(case.kit, *Authority().issue(SITE, 100))
    case.sign()


def other_version(case: Case, port: int) -> None:
    path = case.kit / "local/versions.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"flareseg": "9.9.9"}))


def edited(case: Case, port: int) -> None:
    path = case.kit / "startup/sub_start.sh"
    path.write_text(path.read_text() + "# mine\n")


WRONG_STEPS: dict[str, tuple[Callable[[Case, int], object], dict[str, str], str]] = {
    "no site.yaml": (
        lambda case, port: (case.kit / "local/site.yaml").unlink(),
        {"site.yaml": "no "},
        "cp local/site.yaml.sample local/site.yaml",
    ),
    "no data": (no_data, {"data": "nothing matches"}, "Put images there"),
    "wrong path": (lambda case, port: case.site_yaml(root="/nowhere"), {"data": "no such folder"}, "data.root"),
    "closed port": (lambda case, port: case.target(f"localhost:{free_port()}"), {"port": "is closed"}, "server runs"),
    "ended certificate": (
        lambda case, port: case.certificate(-1),
        {"certificate": "expired on", "TLS": "refuses"},
        "Ask the project admin for a new kit",
    ),
    "another CA": (other_ca, {"CA chain": "did not issue", "TLS": "refuses"}, "Ask the project admin for a new kit"),
    "another version": (
        other_version,
        {"versions": "federation's is 9.9.9"},
        "pip install flareseg-9.9.9-py3-none-any.whl (the wheel comes from the project admin)",
    ),
    "unknown server": (
        lambda case, port: case.target(f"flareseg.invalid:{port}"),
        {"server name": "does not resolve"},
        "/etc/hosts",
    ),
    "another server's name": (
        lambda case, port: case.target(f"127.0.0.1:{port}"),
        {"TLS": "certificate is not for 127.0.0.1"},
        "Ask the project admin for the server's name",
    ),
    "edited startup file": (edited, {"startup files": "sub_start.sh"}, "edit only files below local/"),
}


@pytest.mark.parametrize("step", WRONG_STEPS)
def test_a_wrong_step_is_red_alone_and_has_its_remedy(secure: SecureFederation, tmp_path: Path, step: str) -> None:
    spoil, expected, remedy = WRONG_STEPS[step]
    case = Case(secure, tmp_path)
    spoil(case, secure.workspace.port)
    checks = check_site(load_kit(case.kit))
    reds = {check.name: check for check in checks if check.status is Verdict.RED}
    assert set(reds) == set(expected)
    for name, words in expected.items():
        assert words in reds[name].found
        assert reds[name].remedy
    assert remedy in next(iter(reds.values())).remedy
    assert checks[-1].status is Verdict.SKIPPED  # NVFlare's own check waits until these are mended


def test_a_port_without_tls_is_told_from_a_closed_one(secure: SecureFederation, tmp_path: Path) -> None:
    case = Case(secure, tmp_path)
    with plain_server() as port:
        case.target(f"localhost:{port}")
        checks = {check.name: check for check in check_site(load_kit(case.kit))}
    assert checks["port"].status is Verdict.GREEN
    assert "not with TLS" in checks["TLS"].found


def test_a_certificate_that_ends_soon_is_a_warning(secure: SecureFederation, tmp_path: Path) -> None:
    case = Case(secure, tmp_path)
    case.certificate(10.5)
    checks = {check.name: check for check in check_site(load_kit(case.kit))}
    assert checks["certificate"].status is Verdict.YELLOW
    assert "10 days left" in checks["certificate"].found
    assert checks["TLS"].status is Verdict.GREEN


def site_check(secure: SecureFederation, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """The command as an operator types it."""
    return subprocess.run(
        ["flareseg", "site", "check", *map(str, arguments)],
        env=secure.workspace.environment | {"COLUMNS": "160"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


def test_from_kit_to_ready(secure: SecureFederation) -> None:
    """The operator's way: check, mend, check, start; and the server's own check."""
    kit = secure.kit(SITE)
    secure.stop(SITE)
    site_file = kit / "local/site.yaml"
    content = site_file.read_text()
    try:
        site_file.unlink()
        done = site_check(secure, "--kit", kit)
        assert done.returncode == 2
        assert "cp local/site.yaml.sample" in done.stdout
        assert "Not ready" in done.stdout
    finally:
        site_file.write_text(content)
    done = site_check(secure, "--kit", kit, "--json")
    assert done.returncode == 0, done.stdout
    found = json.loads(done.stdout)
    assert found["ready"] is True
    statuses = {check["name"]: check["status"] for check in found["checks"]}
    for name in ("versions", "startup files", "TLS", "clock", "NVFlare preflight"):
        assert statuses[name] == "ok", found
    secure.start(SITE)
    done = site_check(secure, "--kit", secure.kit(secure.server))
    assert done.returncode == 0, done.stdout
    assert "is the running server" in done.stdout
    done = site_check(secure, "--kit", kit / "local")
    assert done.returncode == 2
    assert "is not a startup kit" in done.stderr
