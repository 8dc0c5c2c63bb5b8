"""A flareseg job beside NVFlare's stock FedAvg job of the same network: until its first round, and for each round."""

from __future__ import annotations

import json
import statistics
from collections import defaultdict
from itertools import pairwise
from pathlib import Path
from typing import Any

import yaml
from tests.tiny import write_tiny_site

from benchmarks.federation import Run, federation, run_job
from benchmarks.measure import DEFAULT_JOB, Row
from benchmarks.training import default_task
from flareseg.job.folder import stage_job
from flareseg.networks import initial_state

SITES = {"ct-a": "CT", "ct-b": "CT", "mr-a": "MR"}
# Little work for the sites, the network of the default job.
CHANGES = ["patch=[16, 16]", "spacing=[null, null, null]", "training.steps=1", "training.batch_size=1"]
CHECK_PERIODS = {"as it comes": 0.5, "with our task_check_period": 0.05}


def run(*, quick: bool) -> list[Row]:
    rounds, repeats = (3, 1) if quick else (24, 3)
    runs: dict[str, list[Run]] = defaultdict(list)
    with federation(tiny_sites) as workspace:
        jobs = {"ours": stage_job(DEFAULT_JOB, workspace.folder / "ours", [*CHANGES, f"training.rounds={rounds}"])}
        for name, period in CHECK_PERIODS.items():
            jobs[name] = stock_job(workspace.folder / f"stock-{period}", rounds, period)
        for _ in range(repeats):
            for name, job in jobs.items():
                runs[name].append(run_job(workspace, job))
    size = f"{parameters() / 1e6:.2f} M, 3 sites, TLS"
    rows = []
    for name in CHECK_PERIODS:
        for what, figure, many in (
            ("submission to first round (model with every site)", until_first_round, f"{repeats} jobs"),
            ("fixed cost of a round", cost_of_round, f"{repeats} x {rounds} rounds"),
        ):
            ours, stock = (statistics.median(v for job in runs[key] for v in figure(job)) for key in ("ours", name))
            limit = LIMITS[figure]
            rows.append(
                Row(f"A job: {what} beside stock FedAvg {name}", f"{size}, {many}", ours, stock, "s", 1.05, limit)
            )
    return rows


def until_first_round(job: Run) -> list[float]:
    """Seconds from submission until the last site was given the first model."""
    given = [task["assigned_at"] for task in job.stats["timing"]["tasks"] if task["round"] == 0]
    return [max(given) - job.submitted]


def cost_of_round(job: Run) -> list[float]:
    """Seconds of each round but the first, to the start of the next, less the longest time in an executor."""
    starts = [item["started_at"] for item in job.stats["rounds"]]
    longest: dict[int, float] = defaultdict(float)
    for task in job.stats["timing"]["tasks"]:
        if task["task_name"] == "train":
            longest[task["round"]] = max(longest[task["round"]], task["client_computation_time"])
    return [after - start - longest[number] for number, (start, after) in enumerate(pairwise(starts)) if number]


LIMITS = {
    until_first_round: "both start a Python process for each participant, which imports PyTorch and MONAI; ours also "
    "checks its settings, its class list and its data before the first model is asked for",
    cost_of_round: "both poll ten times a second; ours also writes its record and its models in each round",
}
"""What stands between, for each figure."""


def parameters() -> int:
    return sum(value.numel() for value in initial_state(default_task()).values())


def tiny_sites(folder: Path) -> None:
    """Sites so small that their work takes no time worth naming."""
    for seed, (name, modality) in enumerate(SITES.items()):
        path = write_tiny_site(folder / name, modality=modality, seed=seed)
        content = yaml.safe_load(path.read_text())
        content["labels"] |= {label: None for label in default_task().labels if label not in content["labels"]}
        path.write_text(yaml.safe_dump(content))


def stock_job(folder: Path, rounds: int, check_period: float) -> Path:
    """NVFlare's FedAvg: ScatterAndGather, InTimeAccumulateWeightedAggregator and what its recipes put beside them."""
    task = default_task()
    network: dict[str, Any] = {
        "spatial_dims": task.spatial_dims,
        "in_channels": task.in_channels,
        "out_channels": len(task.labels),
        "channels": list(task.network.channels),
        "strides": [2] * (len(task.network.channels) - 1),
        "num_res_units": 1,
        "norm": ["instance", {"affine": True}],
    }
    widgets = "nvflare.app_common.widgets"
    stats = _component("job_stats", f"{widgets}.job_stats_reporter.JobStatsReporter")
    server = {
        "format_version": 2,
        "server": {"heart_beat_timeout": 600, "task_request_interval": 0.1},
        "task_data_filters": [],
        "task_result_filters": [],
        "workflows": [
            _component(
                "training",
                "nvflare.app_common.workflows.scatter_and_gather.ScatterAndGather",
                min_clients=len(SITES),
                num_rounds=rounds,
                persistor_id="persistor",
                task_check_period=check_period,
            )
        ],
        "components": [
            _component(
                "persistor",
                "nvflare.app_opt.pt.file_model_persistor.PTFileModelPersistor",
                model={"path": "monai.networks.nets.UNet", "args": network},
            ),
            _component(
                "shareable_generator",
                "nvflare.app_common.shareablegenerators.full_model_shareable_generator.FullModelShareableGenerator",
            ),
            _component(
                "aggregator",
                "nvflare.app_common.aggregators.intime_accumulate_model_aggregator.InTimeAccumulateWeightedAggregator",
                expected_data_kind="WEIGHT_DIFF",
            ),
            _component("selector", f"{widgets}.intime_model_selector.IntimeModelSelector"),
            _component(
                "tensorboard",
                "nvflare.app_opt.tracking.tb.tb_receiver.TBAnalyticsReceiver",
                events=["fed.analytix_log_stats"],
            ),
            _component("metrics_writer", f"{widgets}.metrics_artifact_writer.MetricsArtifactWriter"),
            stats,
        ],
    }
    client = {
        "format_version": 2,
        "executors": [
            {"tasks": ["train"], "executor": {"path": "benchmarks.echo.EchoExecutor", "args": {"network": network}}}
        ],
        "task_data_filters": [],
        "task_result_filters": [],
        "components": [
            _component(
                "event_to_fed",
                f"{widgets}.convert_to_fed_event.ConvertToFedEvent",
                events_to_convert=["analytix_log_stats"],
                fed_event_prefix="fed.",
            ),
            stats,
        ],
    }
    config = folder / "app" / "config"
    config.mkdir(parents=True)
    (config / "config_fed_server.json").write_text(json.dumps(server, indent=1))
    (config / "config_fed_client.json").write_text(json.dumps(client, indent=1))
    meta = {"name": folder.name, "min_clients": len(SITES), "resource_spec": {}, "deploy_map": {"app": ["@ALL"]}}
    (folder / "meta.json").write_text(json.dumps(meta, indent=1))
    return folder


def _component(name: str, path: str, **arguments: object) -> dict[str, Any]:
    return {"id": name, "path": path, "args": arguments}
