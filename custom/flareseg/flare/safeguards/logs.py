"""Logs of a kit: one JSON object for each event in ``log.json``, and files that stay within a bound."""

from __future__ import annotations

import json
import logging
from datetime import datetime, timezone
from typing import Any

from nvflare.fuel.utils.log_utils import JsonFormatter

LOG_CONFIG = "log_config.json.default"
_FORMATTER = "flareseg.flare.safeguards.logs.EventFormatter"
_FORMAT = "%(asctime)s %(identity)s %(name)s %(fullName)s %(levelname)s %(fl_ctx)s %(message)s"
_FILE_BYTES, _OLD_FILES = 10 * 2**20, 5


class EventFormatter(JsonFormatter):
    """NVFlare's JSON formatter with what it leaves out: the time in UTC, and the trace of an exception.

    A message of several lines, and a trace, are one string of the object: one event is one line.
    """

    def format(self, record: logging.LogRecord) -> str:
        """Format one record."""
        event = {"time": datetime.fromtimestamp(record.created, timezone.utc).isoformat(timespec="milliseconds")}
        event |= json.loads(super().format(record))
        if record.exc_info and record.exc_info[0] is not None:
            event["exception"] = self.formatException(record.exc_info)
        return json.dumps(event)


def event_logs(config: dict[str, Any]) -> dict[str, Any]:
    """NVFlare's log configuration of a kit with our formatter in ``log.json`` and a bound for every file."""
    config["formatters"]["jsonFormatter"] = {"()": _FORMATTER, "fmt": _FORMAT}
    for handler in config["handlers"].values():
        if "filename" in handler:
            handler |= {"maxBytes": _FILE_BYTES, "backupCount": _OLD_FILES}
    return config
