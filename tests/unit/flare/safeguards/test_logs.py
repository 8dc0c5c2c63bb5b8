"""A kit's logs: one JSON object a line whatever is logged, and files that never pass their bound."""

from __future__ import annotations

import json
import logging
import logging.config
import subprocess
import sys
from pathlib import Path

import pytest
from nvflare.fuel.utils.log_utils import apply_log_config, default_log_dict

from flareseg.flare.safeguards.logs import EventFormatter, event_logs


def event(message: str, **named: object) -> dict[str, str]:
    record = logging.makeLogRecord(
        {"name": "flareseg.flare.site.executor", "levelname": "INFO", "msg": message, **named}
    )
    line = EventFormatter("%(identity)s %(fullName)s %(levelname)s %(fl_ctx)s %(message)s").format(record)
    assert "\n" not in line
    return dict(json.loads(line))


def test_an_event_is_one_line_with_its_time_in_utc_and_its_trace() -> None:
    plain = event("[identity=ct-a, run=7]: data ready:\nCT", created=0.25)
    assert plain["time"] == "1970-01-01T00:00:00.250+00:00"
    assert plain["message"] == "data ready:\nCT"
    assert plain["identity"] == "ct-a"
    assert plain["fullName"] == "flareseg.flare.site.executor"
    try:
        raise ValueError("bad\nvalue")
    except ValueError:
        failed = event("unexpected", exc_info=sys.exc_info())
    assert "ValueError: bad\nvalue" in failed["exception"]


WRITE = """
import json, logging, sys
from nvflare.fuel.utils.log_utils import apply_log_config
from flareseg.errors import DataError
config = json.loads(sys.argv[1])
apply_log_config(config, sys.argv[2])
log = logging.getLogger("flareseg.flare.site.executor")
for number in range(2000):
    log.info("event %d\\nof two lines", number)
try:
    raise RuntimeError("trace")
except RuntimeError:
    log.exception("failed")
"""


def test_rotation_bounds_every_file(tmp_path: Path) -> None:
    config = event_logs(json.loads(json.dumps(default_log_dict)))
    files = [handler for handler in config["handlers"].values() if "filename" in handler]
    assert len(files) >= 3
    for handler in files:
        assert handler["class"] == "logging.handlers.RotatingFileHandler"
        assert handler["maxBytes"] * (handler["backupCount"] + 1) <= 64 * 2**20
        handler["maxBytes"] = 10_000
    done = subprocess.run([sys.executable, "-c", WRITE, json.dumps(config), str(tmp_path)], capture_output=True)
    assert done.returncode == 0, done.stderr
    logs = list(tmp_path.glob("log.json*"))
    assert len(logs) == 6
    assert max(path.stat().st_size for path in tmp_path.iterdir()) <= 10_000
    lines = [json.loads(line) for path in logs for line in path.read_text().splitlines()]
    assert {"event 1999\nof two lines", "failed"} <= {line["message"] for line in lines}
    assert "RuntimeError: trace" in next(line for line in lines if line["message"] == "failed")["exception"]


def test_the_configuration_is_one_that_nvflare_applies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    applied: list[dict[str, object]] = []
    monkeypatch.setattr(logging.config, "dictConfig", applied.append)
    monkeypatch.setattr(logging, "captureWarnings", lambda on: None)
    apply_log_config(event_logs(json.loads(json.dumps(default_log_dict))), str(tmp_path))
    assert str(tmp_path / "log.json") in json.dumps(applied)
