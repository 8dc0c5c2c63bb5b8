"""Certificates that are made anew before they end, from the root CA that every site trusts."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from nvflare.lighter.constants import ParticipantType, PropKey
from nvflare.lighter.ctx import ProvisionContext
from nvflare.lighter.entity import Participant, Project
from nvflare.lighter.impl.cert import CertBuilder


class RenewingCertBuilder(CertBuilder):
    """NVFlare's CertBuilder, which else hands out a stored certificate for ever, past its end too.

    Each run of ``nvflare provision`` makes a new key and certificate for a participant whose certificate ends soon, and
    for a server whose certificate lacks one of its host names. Names and root CA stay, so that old and new certificates
    work side by side while the new kits are handed out. A server keeps its key: it signs what running sites prove
    themselves with, and with another key they would be refused until somebody restarts each of them.

    Args:
        root_valid_days: life of a new root CA in days; an existing one keeps its own and must agree.
        renew_days: renew what ends within so many days. NVFlare's certificates live 360 days.
    """

    def __init__(self, root_valid_days: int = 3650, renew_days: int = 60) -> None:
        super().__init__(root_valid_days=root_valid_days)
        self.renew_days = renew_days
        self._server_keys: dict[str, str] = {}  # by subject, PEM of the key that a renewed server keeps

    def initialize(self, project: Project, ctx: ProvisionContext) -> None:
        """Load the state and forget what has to be made anew."""
        super().initialize(project, ctx)
        for participant in project.get_all_participants():
            stored = self.persistent_state.get_subject_cert(participant.subject)
            if stored is None:
                ctx.info(f"{participant.name}: first certificate")
                continue
            certificate = x509.load_pem_x509_certificate(stored.encode("ascii"))
            reason = self._outdated(certificate, participant)
            if reason:
                if participant.type == ParticipantType.SERVER:
                    key = self.persistent_state.get_subject_pri_key(participant.subject)
                    self._server_keys[participant.subject] = key
                del self.persistent_state.content[participant.subject]
                ctx.info(f"{participant.name}: new certificate, {reason}")
            else:
                ctx.info(f"{participant.name}: keeps its certificate, until {certificate.not_valid_after_utc:%Y-%m-%d}")

    def get_pri_key_cert(self, participant: Participant) -> tuple[Any, x509.Certificate]:
        """Make a participant's certificate: for a new key, or for the key that a server has.

        NVFlare asks for more servers than the one: a site with ``listening_host`` is one under its own name.
        """
        key, certificate = super().get_pri_key_cert(participant)
        kept = self._server_keys.get(participant.subject)
        if kept is None:
            return key, certificate
        key = load_pem_private_key(kept.encode("ascii"), password=None)
        return key, self._generate_cert(
            participant.subject,
            participant.org,
            self.issuer,
            self.pri_key,
            key.public_key(),
            server=participant,
            not_valid_before=certificate.not_valid_before_utc,
            not_valid_after=certificate.not_valid_after_utc,
        )

    def _outdated(self, certificate: x509.Certificate, participant: Participant) -> str | None:
        end = certificate.not_valid_after_utc
        if end < datetime.now(timezone.utc) + timedelta(days=self.renew_days):
            return f"the last one ends {end:%Y-%m-%d}"
        if participant.type == ParticipantType.SERVER:
            missing = _hosts(participant) - _names(certificate)
            if missing:
                return f"the last one lacks {', '.join(sorted(missing))}"
        return None


def _hosts(server: Participant) -> set[str]:
    return {server.get_default_host(), *(server.get_prop(PropKey.HOST_NAMES) or [])}


def _names(certificate: x509.Certificate) -> set[str]:
    alternative = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return {str(name.value) for name in alternative}
