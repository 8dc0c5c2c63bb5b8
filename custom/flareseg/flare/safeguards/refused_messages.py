"""What becomes of a refused message: a line in log and audit log and, at the server, in the record of each job."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from nvflare.fuel.sec.audit import AuditService

from flareseg.errors import plain
from flareseg.flare.names import RUN_FOLDER
from flareseg.record.refusals import note_refusal

ACTION = "cell_boundary.refused"
WINDOW_SECONDS = 60.0
MOST_LINES = 60
"""Lines in one window for one sender; the first line of the next says how many there were beyond."""
_MOST_SENDERS = 1000

logger = logging.getLogger("flareseg.CellBoundary")


class _Sender:
    def __init__(self, now: float) -> None:
        self.since = now
        self.said: set[str] = set()
        self.unsaid = 0


class RefusedMessages:
    """Writes refused messages down; the same thing of the same sender once a minute.

    Args:
        clock: seconds, from any start.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._senders: dict[str, _Sender] = {}
        self.jobs: Callable[[], Iterable[str]] = lambda: ()

    def note(self, sender: str, reason: str) -> None:
        """Write one down.

        Args:
            sender: who was at the other end of the connection.
            reason: why it was refused; may hold text of the sender's.
        """
        sender, reason = plain(sender), plain(reason)
        unsaid = self._unsaid(sender, reason)
        if unsaid is None:
            return
        more = f" ({unsaid} more since the last line)" if unsaid else ""
        logger.warning(f"message of {sender} refused: {reason}{more}")
        AuditService.add_event(user=sender, action=ACTION, msg=f"{reason}{more}")
        for job_id in self.jobs():
            folder = Path(job_id)  # in the kit, which is every NVFlare process's working folder
            try:
                if folder.is_dir():
                    note_refusal(folder / RUN_FOLDER, sender, reason)
            except OSError as error:
                logger.warning(f"{folder}: the refused message is not in the record ({error.strerror})")

    def _unsaid(self, sender: str, reason: str) -> int | None:
        """How many lines were left out before this one; None where this one is left out, too."""
        with self._lock:
            now = self._clock()
            known = self._senders.get(sender)
            if known is None or now - known.since >= WINDOW_SECONDS:
                if known is None and len(self._senders) >= _MOST_SENDERS:
                    self._senders.clear()
                unsaid = known.unsaid if known else 0
                known = self._senders[sender] = _Sender(now)
                known.unsaid = unsaid
            if reason in known.said or len(known.said) >= MOST_LINES:
                known.unsaid += 1
                return None
            known.said.add(reason)
            unsaid, known.unsaid = known.unsaid, 0
            return unsaid


REFUSED = RefusedMessages()
"""Of this process."""
