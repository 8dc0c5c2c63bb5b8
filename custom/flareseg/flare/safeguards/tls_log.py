"""The server's log of refused TLS connections."""

from __future__ import annotations

import ssl
from asyncio.sslproto import SSLProtocol
from collections.abc import Callable
from typing import Any

from nvflare.apis.event_type import EventType
from nvflare.apis.fl_component import FLComponent
from nvflare.apis.fl_context import FLContext

from flareseg.errors import plain

_REASONS = {
    "certificate has expired": "the certificate is past its date",
    "certificate is not yet valid": "the certificate is not yet valid",
    "self-signed certificate": "the certificate is of another CA",
    "self signed certificate": "the certificate is of another CA",
    "unable to get local issuer certificate": "the certificate is of another CA",
    "certificate signature failure": "the certificate is of another CA",
    "PEER_DID_NOT_RETURN_A_CERTIFICATE": "no certificate was shown",
    "WRONG_VERSION_NUMBER": "no TLS was spoken",
    "HTTP_REQUEST": "no TLS was spoken",
    "UNKNOWN_CA": "the other side does not know this server's CA",
}
_HANDSHAKE = "SSL handshake failed"


class TlsRefusalLog(FLComponent):
    """Writes each refused TLS connection, with address and reason, in the server's log.

    Connections of NVFlare's default scheme (http) end in Python's asyncio, which refuses a bad certificate without a
    word, below NVFlare, which hears nothing of it. Here asyncio's own report of it is passed on.

    Listed among the components of the server's ``local/resources.json``.
    """

    def handle_event(self, event_type: str, fl_ctx: FLContext) -> None:
        """Begin when the server's parent process, which holds the port, has started."""
        if event_type == EventType.SYSTEM_START:
            report(self.logger.warning)


def report(write: Callable[[str], None]) -> None:
    """Have every failed handshake of this process's servers written."""
    quiet = SSLProtocol._fatal_error

    def logged(self: Any, error: BaseException, message: str = "") -> None:
        if message.startswith(_HANDSHAKE) and isinstance(error, ssl.SSLError) and self._server_side:
            peer = self._transport.get_extra_info("peername") if self._transport else None
            write(f"TLS connection from {peer[0] if peer else 'unknown'} refused: {reason(error)}")
        quiet(self, error, message)

    SSLProtocol._fatal_error = logged  # type: ignore[method-assign, assignment]


def reason(error: ssl.SSLError) -> str:
    """Describe why a handshake failed."""
    text = str(error)
    return next((words for mark, words in _REASONS.items() if mark in text), plain(text))
