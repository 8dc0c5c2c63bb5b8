"""Jobs that ask for what no site allows."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyhocon

from federation import REPOSITORY, tiny_changes
from flareseg.job.bundle import bundle_job

CLIENT, SERVER = "app/config/config_fed_client.json", "app/config/config_fed_server.json"
TENSORBOARD = "nvflare.app_opt.tracking.tb.tb_receiver.TBAnalyticsReceiver"
CONVERTER = "nvflare.app_common.widgets.convert_to_fed_event.ConvertToFedEvent"
EXECUTOR = "flareseg.flare.site.executor.SegmentationExecutor"
PERSISTOR = "nvflare.app_opt.pt.file_model_persistor.PTFileModelPersistor"
WRITER = "nvflare.app_common.widgets.metrics_artifact_writer.MetricsArtifactWriter"

Change = Callable[[Path, Path], Any]
"""Changes a job; the second path is a file that must not be there afterwards."""


def make(folder: Path, change: Change, planted: Path) -> Path:
    """The small job, changed after its bundle was made."""
    job = folder / "job"
    bundle_job(REPOSITORY / "jobs" / "fedgin-fedgs", job, tiny_changes())
    change(job, planted)
    return job


def add(file: str, path: str, /, **args: Any) -> Change:
    """Add a component to one side; ``PLANTED`` in an argument becomes the path of the planted file."""

    def change(job: Path, planted: Path) -> None:
        content = json.loads((job / file).read_text())
        content["components"].append({"id": "added", "path": path, "args": args})
        (job / file).write_text(json.dumps(content).replace("PLANTED", str(planted)))

    return change


def _hocon(job: Path, planted: Path) -> None:
    """The same configuration in NVFlare's second format, and none in the first."""
    add(CLIENT, "subprocess.Popen", args=["touch", "PLANTED"])(job, planted)
    content = pyhocon.ConfigFactory.from_dict(json.loads((job / CLIENT).read_text()))
    (job / CLIENT).with_suffix(".conf").write_text(pyhocon.HOCONConverter.to_hocon(content))
    (job / CLIENT).unlink()


def _code(job: Path, planted: Path) -> None:
    (job / "app/custom").mkdir()
    (job / "app/custom/code.py").write_text(f"open({str(planted)!r}, 'w')")


def meta(**changes: Any) -> Change:
    def change(job: Path, planted: Path) -> None:
        path = job / "meta.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | changes))

    return change


POPEN = {"path": "subprocess.Popen", "args": {"args": ["touch", "PLANTED"]}}
MKDIR = {"config_type": "dict", "path": "os.mkdir", "args": {"path": "PLANTED"}}

AT_SITES: dict[str, tuple[Change, str]] = {
    "a class off the list": (
        add(CLIENT, "subprocess.Popen", args=["touch", "PLANTED"]),
        "Component 'subprocess.Popen' at config path 'components.#",
    ),
    "the same in HOCON": (_hocon, "Component 'subprocess.Popen' at config path 'components.#"),
    "a listed class that would build another": (
        add(CLIENT, EXECUTOR, more=POPEN),
        f"component {EXECUTOR} refused: args.more would build another object (path)",
    ),
    "log messages sent as events": (
        add(CLIENT, CONVERTER, events_to_convert=["_error_log_available"]),
        f"component {CONVERTER} refused: it may send the curves (analytix_log_stats) and no other event",
    ),
}

AT_THE_SERVER: dict[str, tuple[Change, str]] = {
    "a pickle loader": (
        add(SERVER, PERSISTOR, source_ckpt_file_full_name="PLANTED", load_weights_only=False),
        f"Component '{PERSISTOR}' at config path 'components.#",
    ),
    "config_type: dict": (
        add(SERVER, TENSORBOARD, tb_folder=MKDIR),
        f"component {TENSORBOARD} refused: args.tb_folder would build another object (config_type, path)",
    ),
    "_target_": (
        add(SERVER, TENSORBOARD, tb_folder={"_target_": "os.mkdir", "path": "PLANTED"}),
        f"component {TENSORBOARD} refused: args.tb_folder would build another object (_target_, path)",
    ),
    "a path of the workspace": (
        add(SERVER, TENSORBOARD, tb_folder="{WORKSPACE}/local"),
        f"component {TENSORBOARD} refused: args.tb_folder reaches outside the job's folder",
    ),
    "an absolute path": (
        add(SERVER, TENSORBOARD, tb_folder="PLANTED"),
        f"component {TENSORBOARD} refused: args.tb_folder reaches outside the job's folder",
    ),
    "a path upwards": (
        add(SERVER, WRITER, results_dir="../../planted"),
        f"component {WRITER} refused: args.results_dir reaches outside the job's folder: ../../planted",
    ),
    "a path for our own": (
        add(SERVER, "flareseg.flare.server.persistor.SegmentationModelPersistor", path="PLANTED"),
        "component flareseg.flare.server.persistor.SegmentationModelPersistor refused: args.path reaches outside",
    ),
}

NOT_DEPLOYED: dict[str, tuple[Change, str]] = {
    "code where BYOC is not allowed": (_code, "BYOC not permitted"),
    "another privacy scope": (meta(scope="none-such"), "privacy scope 'none-such' is not allowed"),
}
