"""Bytes on the wire in a round, in float32 and with NVFlare's float16 message quantisation, and the Dice of both."""

from __future__ import annotations

import json
from pathlib import Path

from benchmarks.federation import Run, federation, run_job
from benchmarks.job import tiny_sites
from benchmarks.measure import DEFAULT_JOB, Row
from flareseg.federation.best_models import site_dice
from flareseg.job.folder import stage_job
from flareseg.report import load_record

QUANTIZER = {
    "path": "nvflare.app_opt.pt.quantization.quantizer.ModelQuantizer",
    "args": {"quantization_type": "float16"},
}
DEQUANTIZER = {"path": "nvflare.app_opt.pt.quantization.dequantizer.ModelDequantizer", "args": {}}
# Which filters work on what is sent (data) and on what comes back (result), at the server and at the sites.
FILTERS = {
    "config_fed_server.json": {"task_data_filters": QUANTIZER, "task_result_filters": DEQUANTIZER},
    "config_fed_client.json": {"task_data_filters": DEQUANTIZER, "task_result_filters": QUANTIZER},
}
QUICK = ["patch=[16, 16]", "spacing=[null, null, null]", "training.steps=1", "training.batch_size=1"]


def run(*, quick: bool) -> list[Row]:
    rounds, steps = (2, 1) if quick else (10, 10)
    changes = [*(QUICK if quick else []), f"training.rounds={rounds}", f"training.steps={steps}"]
    runs = {}
    with federation(tiny_sites if quick else None) as workspace:
        for name in ("float32", "float16"):
            job = stage_job(DEFAULT_JOB, workspace.folder / name, changes)
            if name == "float16":
                add_filters(job / "app" / "config")
            runs[name] = run_job(workspace, job)
        half, full = runs["float16"], runs["float32"]
        size = f"3 sites, {rounds} rounds of {steps} steps, {'small' if quick else 'embedded'} data"
        return [
            Row(
                "Bytes of a round on the wire (before TLS), float16 beside float32",
                size,
                megabytes(half, rounds),
                megabytes(full, rounds),
                "MB",
                limit="rounding of model and update; NVFlare's filters refuse integers and import bitsandbytes",
            ),
            Row("Mean site Dice on test data, float16 beside float32", size, dice(half), dice(full), "Dice"),
        ]


def add_filters(config: Path) -> None:
    """Let the training messages of a staged job be quantised."""
    for name, filters in FILTERS.items():
        content = json.loads((config / name).read_text())
        for key, component in filters.items():
            content[key] = [{"tasks": ["train"], "filters": [component]}]
        (config / name).write_text(json.dumps(content, indent=1))


def megabytes(job: Run, rounds: int) -> float:
    """All that the server's job process sent and received, less the models of the evaluation, for each round."""
    transport = job.stats["communication"]["transport"]
    evaluation = sum(
        task["task_payload_mb"] for task in job.stats["timing"]["tasks"] if task["task_name"] == "validate"
    )
    return (transport["total_sent_mb"] + transport["total_received_mb"] - evaluation) / rounds


def dice(job: Run) -> float | None:
    """Mean over sites of the winner's Dice on the held-out cases."""
    return site_dice(load_record(job.result).evaluation.testing)
