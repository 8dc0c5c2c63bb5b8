"""A POC federation with TLS for benchmarks: its class allow-list is longer, so that NVFlare's stock job runs too."""

from __future__ import annotations

import json
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.measure import REPOSITORY
from flareseg.data.phantom.sites import write_sites as write_embedded
from flareseg.flare.session import lead_session, wait_for_job
from flareseg.poc.provision import site_names
from flareseg.poc.workspace import PocWorkspace

PROJECT = REPOSITORY / "poc" / "project.yml"
STAND_IN = Path(__file__).parent / "stand_in"
CLASSES = (
    "benchmarks.echo.EchoExecutor",
    "monai.networks.nets.UNet",
    "nvflare.app_common.aggregators.intime_accumulate_model_aggregator.InTimeAccumulateWeightedAggregator",
    "nvflare.app_common.widgets.intime_model_selector.IntimeModelSelector",
    "nvflare.app_common.workflows.scatter_and_gather.ScatterAndGather",
    "nvflare.app_opt.pt.file_model_persistor.PTFileModelPersistor",
    "nvflare.app_opt.pt.quantization.dequantizer.ModelDequantizer",
    "nvflare.app_opt.pt.quantization.quantizer.ModelQuantizer",
)
"""What the jobs of the benchmarks need beyond ours; a site of a real federation should not allow all of these."""


@dataclass(frozen=True)
class Run:
    """A finished job.

    Attributes:
        submitted: time of the submission, in seconds since the epoch.
        stats: content of NVFlare's job_stats_run_summary.json.
        result: folder of the downloaded result.
    """

    submitted: float
    stats: dict[str, Any]
    result: Path


@contextmanager
def federation(write_sites: Callable[[Path], object] | None) -> Iterator[PocWorkspace]:
    """Server and sites in a temporary folder, stopped at the end whatever happens.

    Args:
        write_sites: writes a folder for each site; the embedded data where None.
    """
    with tempfile.TemporaryDirectory(prefix="flareseg-bench-") as name:
        workspace = PocWorkspace(Path(name) / "poc")
        workspace.claim()
        sites = workspace.folder / "sites"
        (write_sites or write_embedded)(sites)
        workspace.prepare(PROJECT, sites, site_names(sites), lambda message: None)
        for participant in [*workspace.participants("server"), *workspace.participants("client")]:
            _allow(workspace.kits / participant / "local")
        with _importable(REPOSITORY, STAND_IN):
            workspace.start()
        try:
            yield workspace
        finally:
            workspace.stop()


def run_job(workspace: PocWorkspace, job: Path) -> Run:
    """Submit a job folder as it is, wait, and download its result."""
    user, kit = workspace.lead_kit
    with lead_session(user, kit) as session:
        submitted = time.time()
        job_id = str(session.submit_job(str(job)))
        status = wait_for_job(session, job_id, lambda status, progress: None)
        result = Path(session.download_job_result(job_id, str(workspace.folder)))
    if status != "FINISHED:COMPLETED":
        raise RuntimeError(f"Job {job.name} ended as {status}: see {result}.")
    stats = next(result.rglob("job_stats_run_summary.json"))
    return Run(submitted, json.loads(stats.read_text()), result)


def _allow(local: Path) -> None:
    resources = json.loads((local / "resources.json.default").read_text())
    resources["class_allow_list"] += CLASSES
    # NVFlare's own persistor takes its network as a nested class, which a kit's guard refuses.
    resources["components"] = [item for item in resources["components"] if item["id"] != "component_guard"]
    (local / "resources.json").write_text(json.dumps(resources, indent=1))


@contextmanager
def _importable(*folders: Path) -> Iterator[None]:
    """Let the processes started here import from these folders."""
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join([*map(str, folders), *([before] if before else [])])
    try:
        yield
    finally:
        if before is None:
            del os.environ["PYTHONPATH"]
        else:
            os.environ["PYTHONPATH"] = before
