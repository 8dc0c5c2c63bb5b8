"""The server's log of refused TLS connections."""

from __future__ import annotations

import os
import threading
from contextlib import suppress

from nvflare.apis.event_type import EventType
from nvflare.apis.fl_component import FLComponent
from nvflare.apis.fl_context import FLContext

_REFUSED = b"Handshake failed"
_REASONS = {
    b"certificate has expired": "the certificate is past its date",
    b"certificate is not yet valid": "the certificate is not yet valid",
    b"unable to get local issuer certificate": "the certificate is of another CA",
    b"certificate signature failure": "the certificate is of another CA",
    b"PEER_DID_NOT_RETURN_A_CERTIFICATE": "no certificate was shown",
    b"WRONG_VERSION_NUMBER": "no TLS was spoken",
    b"HTTP_REQUEST": "no TLS was spoken",
}


class TlsRefusalLog(FLComponent):
    """Writes each refused TLS connection in the server's log.

    gRPC refuses a connection below NVFlare, which hears nothing of it; gRPC's own line goes to standard error, of which
    a server started by ``start.sh`` keeps no file. Here standard error is read on its way, and what gRPC says of a
    refusal becomes a line of log.txt. gRPC does not tell the address of the peer.

    Listed among the components of the server's ``local/resources.json``.
    """

    def handle_event(self, event_type: str, fl_ctx: FLContext) -> None:
        """Begin when the server's parent process, which holds the port, has started."""
        if event_type == EventType.SYSTEM_START:
            reading, writing = os.pipe()
            original = os.dup(2)
            os.dup2(writing, 2)
            os.close(writing)
            threading.Thread(target=self._follow, args=(reading, original), daemon=True, name="tls_log").start()

    def _follow(self, reading: int, original: int) -> None:
        with os.fdopen(reading, "rb") as stream:
            for line in stream:
                with suppress(OSError):  # the terminal may be gone; whoever writes must not wait for it
                    os.write(original, line)
                if _REFUSED in line:
                    self.logger.warning(f"TLS connection refused: {reason(line)}")


def reason(line: bytes) -> str:
    """Why a connection was refused, from gRPC's line."""
    known = next((words for mark, words in _REASONS.items() if mark in line), None)
    return known or line.decode(errors="replace").rpartition("Handshake failed with ")[2].strip()
