"""The server's and the sites' configuration of a job: from one template each, chosen by the job's privacy scope.

What is a job's own are its ``meta.json`` and ``task.yaml``. ``make jobs`` writes the rest of each folder of ``jobs/``.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from string import Template

from flareseg.files import write_whole

_TEMPLATES = Path(__file__).parent / "template"
_STATISTICS = "statistics"
_PLAIN = {
    "aggregator": "flareseg.flare.server.plain_aggregator.PlainAggregator",
    "shareable_generator": (
        "nvflare.app_common.shareablegenerators.full_model_shareable_generator.FullModelShareableGenerator"
    ),
}
_ENCRYPTED = {
    "aggregator": "flareseg.flare.server.encrypted_aggregator.EncryptedAggregator",
    "shareable_generator": "nvflare.app_opt.he.model_shareable_generator.HEModelShareableGenerator",
}


def configuration(scope: str) -> dict[str, str]:
    """Text of ``config_fed_server.json`` and ``config_fed_client.json``, by name, for jobs of a privacy scope."""
    kind = _STATISTICS if scope == _STATISTICS else "training"
    classes = _ENCRYPTED if scope == "encrypted" else _PLAIN
    return {
        f"config_fed_{side}.json": Template(
            (_TEMPLATES / f"{kind}_{side}.json").read_text(encoding="utf-8")
        ).substitute(classes)
        for side in ("server", "client")
    }


def write_configuration(job: Path) -> None:
    """Write the configuration into every app of a job folder, as its ``meta.json`` asks."""
    meta = json.loads((job / "meta.json").read_text(encoding="utf-8"))
    for app in meta["deploy_map"]:
        for name, text in configuration(meta["scope"]).items():
            write_whole(job / app / "config" / name, text.encode())


if __name__ == "__main__":
    for folder in sys.argv[1:]:
        write_configuration(Path(folder))
