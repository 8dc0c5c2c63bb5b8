"""The way to the server: its name, its port, TLS with the kit's certificate, and its clock."""

from __future__ import annotations

import ipaddress
import re
import socket
import ssl
from collections.abc import Iterable
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime

from flareseg.flare.site_check.kit import Kit
from flareseg.flare.site_check.report import Check, Verdict, green, red, yellow

TIMEOUT_SECONDS = 10.0
CLOCK_SECONDS = 300
_HTTP = ("http", "https")
_DATE = re.compile(rb"^date: *(.+?)\r?$", re.IGNORECASE | re.MULTILINE)
_NAME_MISMATCH = (62, 64)  # OpenSSL's codes for a host name and for an address


def check_listening(kit: Kit, running: bool) -> Check:
    """Check that the server's port is free, or that the server has it.

    Args:
        kit: the server's kit.
        running: whether a process of this kit runs.
    """
    with socket.socket() as probe:
        taken = probe.connect_ex(("localhost", kit.port)) == 0
    if taken and not running:
        return red(
            "port", f"{kit.port} is taken by another process", f"End what has it: ss -ltnp 'sport = :{kit.port}'"
        )
    return green("port", f"{kit.port} {'is the running server' if taken else 'is free'}")


def check_network(kit: Kit) -> list[Check]:
    """Check the way to the server, step by step; what follows a red step is not tried."""
    name = _name(kit)
    if name.status is Verdict.RED:
        return [name]
    try:
        connection = socket.create_connection((kit.host, kit.port), timeout=TIMEOUT_SECONDS)
    except OSError as error:
        return [name, _unreachable(kit, error)]
    with connection:
        port = green("port", f"{kit.host}:{kit.port} is open")
        return [name, port, *_tls(kit, connection)]


def _name(kit: Kit) -> Check:
    try:
        found = socket.getaddrinfo(kit.host, kit.port, type=socket.SOCK_STREAM)
    except OSError as error:
        return red(
            "server name",
            f"{kit.host} does not resolve ({error.strerror or error})",
            f"Have {kit.host} added to this network's DNS or to /etc/hosts. If the server moved, get a new kit.",
        )
    return judge_addresses(kit.host, sorted({str(item[4][0]) for item in found}))


def judge_addresses(host: str, addresses: Iterable[str]) -> Check:
    """A server elsewhere has an address elsewhere; loopback is for a server named localhost."""
    listed = list(addresses)
    said = f"{host} is {', '.join(listed)}"
    loopback = [address for address in listed if ipaddress.ip_address(address.split("%")[0]).is_loopback]
    if loopback and host != "localhost" and host not in loopback:
        return red(
            "server name", f"{said}: this machine itself", f"Remove {host} from /etc/hosts, or give its address."
        )
    return green("server name", said)


def _unreachable(kit: Kit, error: OSError) -> Check:
    if isinstance(error, TimeoutError):
        return red(
            "port",
            f"{kit.host}:{kit.port} does not answer in {TIMEOUT_SECONDS:.0f} s",
            f"Have the firewall let this machine reach {kit.host}, TCP port {kit.port}.",
        )
    return red(
        "port",
        f"{kit.host}:{kit.port} is closed ({error.strerror or error})",
        "Ask the project admin whether the server runs, and your IT whether the firewall refuses the port.",
    )


def _tls(kit: Kit, connection: socket.socket) -> list[Check]:
    """Shake hands as NVFlare does, and read an answer: only then has the server accepted our certificate."""
    try:
        context = ssl.create_default_context(ssl.Purpose.SERVER_AUTH, cafile=str(kit.startup / "rootCA.pem"))
        context.load_cert_chain(kit.certificate, kit.key)
        with context.wrap_socket(connection, server_hostname=kit.host) as tls:
            version = tls.version()
            answer = _ask(tls, kit) if kit.scheme in _HTTP else None
    except ssl.SSLCertVerificationError as error:
        return [_distrusted(kit, error)]
    except (OSError, ValueError) as error:
        return [_refused(error)]
    trusted = green("TLS", f"{version}; server and site accept each other's certificate")
    if answer is None:
        return [green("TLS", f"{version}; the server's certificate is trusted")]
    return [trusted, judge_clock(answer, datetime.now(timezone.utc))]


def _ask(tls: ssl.SSLSocket, kit: Kit) -> bytes:
    tls.sendall(f"GET / HTTP/1.1\r\nHost: {kit.host}\r\nConnection: close\r\n\r\n".encode())
    answer = tls.recv(4096)
    if not answer:
        raise ConnectionResetError("the server hung up")
    return answer


def _distrusted(kit: Kit, error: ssl.SSLCertVerificationError) -> Check:
    if error.verify_code in _NAME_MISMATCH:
        return red(
            "TLS",
            f"the server's certificate is not for {kit.host}",
            "Ask the project admin for the server's name, or for a server kit that lists this one.",
        )
    return red(
        "TLS",
        f"the server's certificate is not trusted: {error.verify_message}",
        "Ask the project admin: the server runs a kit of another federation, or its certificate has ended.",
    )


def _refused(error: Exception) -> Check:
    reason = getattr(error, "reason", None) or getattr(error, "strerror", None) or str(error)
    if "WRONG_VERSION_NUMBER" in str(reason):
        return red("TLS", "the port answers, but not with TLS", "Ask the project admin which port the server has.")
    return red(
        "TLS",
        f"the server refuses this site's certificate ({reason})",
        "Ask the project admin for a new kit: this one is of another federation, has ended, or was revoked.",
    )


def judge_clock(answer: bytes, now: datetime) -> Check:
    """This machine's clock beside the server's, from the Date of an HTTP answer."""
    date = _DATE.search(answer)
    if date is None:
        return yellow("clock", "the server gave no time", "Compare this machine's clock with a clock you trust.")
    seconds = (now - parsedate_to_datetime(date.group(1).decode())).total_seconds()
    said = f"{abs(seconds):.0f} s {'ahead of' if seconds > 0 else 'behind'} the server"
    if abs(seconds) > CLOCK_SECONDS:
        return red("clock", said, "Turn on time synchronisation: sudo timedatectl set-ntp true")
    return green("clock", said)
