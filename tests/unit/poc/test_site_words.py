from __future__ import annotations

import json
from pathlib import Path

from flareseg.poc.site_words import site_failures


def test_a_site_s_first_failure_with_its_remedy(tmp_path: Path) -> None:
    lines = [
        {"levelname": "INFO", "message": "data ready: CT"},
        {"levelname": "ERROR", "message": "CoreCell: target_unreachable"},
        {"levelname": "ERROR", "message": "[identity=ct-a]: NO_DATA (case 0a1b2c): /data/x: no image. Copy it."},
        {"levelname": "ERROR", "message": "INTERNAL: later"},
    ]
    log = tmp_path / "ct-a" / "job" / "log.json"
    log.parent.mkdir(parents=True)
    log.write_text("\n".join(map(json.dumps, lines)) + '\n{"levelname": "ERR')
    (tmp_path / "ct-b" / "job").mkdir(parents=True)
    assert site_failures(tmp_path, ["ct-a", "ct-b", "mr-a"], "job") == {"ct-a": "/data/x: no image. Copy it."}
