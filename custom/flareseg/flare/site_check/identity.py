"""Who the site is: its certificate, the federation's CA, and the signature of its startup files."""

from __future__ import annotations

from datetime import datetime, timezone

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509.oid import NameOID
from nvflare.fuel.sec.security_content_service import LoadResult, SecurityContentManager
from nvflare.lighter.utils import load_crt_chain

from flareseg.flare.site_check.kit import Kit
from flareseg.flare.site_check.report import Check, green, red, yellow

DAYS_TO_RENEW = 30
_NEW_KIT = "Ask the project admin for a new kit."


def check_identity(kit: Kit, now: datetime | None = None) -> list[Check]:
    """Check certificate, key, CA chain and signature of a kit, without the network.

    Args:
        kit: the site's kit.
        now: the time to check for; the clock's where not given.
    """
    now = now or datetime.now(timezone.utc)
    try:
        chain = load_crt_chain(str(kit.certificate))
        root = x509.load_pem_x509_certificate((kit.startup / "rootCA.pem").read_bytes())
        key = load_pem_private_key(kit.key.read_bytes(), password=None)
    except (OSError, ValueError, TypeError) as error:
        return [red("certificate", f"cannot be read: {_one_line(error)}", "Unpack the kit anew: see startup/.")]
    return [
        _certificate(kit, chain[0], key.public_key() == chain[0].public_key(), now),
        _chain(chain, root, now),
        _signature(kit),
    ]


def _certificate(kit: Kit, certificate: x509.Certificate, key_fits: bool, now: datetime) -> Check:
    (name, *_) = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    if not key_fits:
        return red(
            "certificate",
            f"{kit.key.name} is not the key of {kit.certificate.name}",
            f"Unpack the kit anew. {_NEW_KIT}",
        )
    if name.value != kit.name:
        return red("certificate", f"is of {name.value!s}, the kit of {kit.name}", _NEW_KIT)
    return _validity("certificate", certificate, now)


def _chain(chain: list[x509.Certificate], root: x509.Certificate, now: datetime) -> Check:
    try:
        for certificate, issuer in zip(chain, [*chain[1:], root], strict=True):
            certificate.verify_directly_issued_by(issuer)
    except (InvalidSignature, ValueError, TypeError):
        return red("CA chain", "rootCA.pem did not issue this certificate", _NEW_KIT)
    return _validity("CA chain", root, now)


def _validity(name: str, certificate: x509.Certificate, now: datetime) -> Check:
    start, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    if now < start:
        return red(
            name,
            f"is valid from {start:%Y-%m-%d %H:%M} UTC on, the clock says {now:%Y-%m-%d %H:%M} UTC",
            "Set this machine's clock.",
        )
    days = (end - now).days
    if now >= end:
        return red(name, f"expired on {end:%Y-%m-%d}", f"{_NEW_KIT} If the date is wrong, set this machine's clock.")
    if days < DAYS_TO_RENEW:
        return yellow(name, f"{days} days left, until {end:%Y-%m-%d}", f"{_NEW_KIT} This one ends soon.")
    return green(name, f"valid, {days} days left, until {end:%Y-%m-%d}")


def _signature(kit: Kit) -> Check:
    """Startup files against the CA's signature; kits packaged at a site carry none."""
    manager = SecurityContentManager(str(kit.startup))
    if not manager.valid_config:
        return green("startup files", "not signed: kits of this kind carry no signature")
    signed = [name for name in manager.signature if (kit.startup / name).is_file()]
    changed = [name for name in signed if manager.load_content(name)[1] is LoadResult.INVALID_SIGNATURE]
    if changed:
        return red(
            "startup files",
            f"not as the project admin signed them: {', '.join(changed)}",
            "Unpack the kit anew, and edit only files below local/: NVFlare does not start with these.",
        )
    return green("startup files", "as the project admin signed them")


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
