"""What a site's own IT could add to its kit (``local/custom``): a copy of all that a job's process sends anywhere.

Taken where NVFlare has turned a message into bytes and not yet encrypted it, so headers count too, and what the server
would drop or never store.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from nvflare.apis.fl_component import FLComponent
from nvflare.fuel.f3.cellnet.core_cell import CoreCell

COPY = Path(__file__).parents[1] / "outgoing"
_encrypt = CoreCell.encrypt_payload


class Outgoing(FLComponent):
    """Begins when NVFlare builds it from ``local/resources.json``."""

    def __init__(self) -> None:
        super().__init__()
        CoreCell.encrypt_payload = _copied


def _copied(cell: CoreCell, message: Any) -> None:
    payload = message.payload or b""
    parts = payload if isinstance(payload, list) else [payload]  # a streamed piece is a list of buffers
    with COPY.open("ab") as stream:
        stream.write(repr(message.headers).encode() + b"\n" + b"".join(map(bytes, parts)) + b"\n")
    _encrypt(cell, message)
