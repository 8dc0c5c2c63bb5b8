"""The federation that the faults happen to, and what can be seen of a run from outside."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cached_property
from pathlib import Path
from typing import Any

import psutil
import torch
import yaml

from faults.proxy import StallingProxy
from federation import tiny_changes
from flareseg.networks.state import State
from flareseg.poc.run import resume
from flareseg.processes import processes_of
from flareseg.record.model_file import load_model
from flareseg.record.run import RunRecord
from flareseg.report import load_record
from secure_federation import SecureFederation, eventually

SITES = 4
ROUNDS = 4
BEHIND_PROXY = "hospital-d"
FOURTH = {"name": BEHIND_PROXY, "type": "client", "org": "hospital_d"}


def settings(**changes: Any) -> list[str]:
    """The task that every fault interrupts: server momentum, batch norm kept at the sites, three kept models."""
    content = {
        "network": {"channels": [8, 16, 32], "norm": "local_batch"},
        "aggregation": {"server_momentum": 0.9, "wait_after_min": 60, **changes.pop("aggregation", {})},
    }
    training = tiny_changes(**{"rounds": ROUNDS, "steps": 40, **changes})
    extra = [f"{key}={yaml.safe_dump(value, default_flow_style=True).strip()}" for key, value in content.items()]
    return [change for change in training if not change.startswith(("network=", "aggregation="))] + extra


class Ward(SecureFederation):
    """A provisioned federation of four hospitals over TLS, the last one connected through a proxy that can stall."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, sites=3)
        self.proxy = StallingProxy(self.workspace.port)
        file = self.workspace.poc / "project.yml"
        project = yaml.safe_load(file.read_text())
        project["participants"].append({**FOURTH, "connect_to": {"host": "localhost", "port": self.proxy.port}})
        file.write_text(yaml.safe_dump(project, sort_keys=False))
        self.site_names = self.workspace.participants("client")

    def close(self) -> None:
        super().close()
        self.proxy.close()

    def run_folder(self, job_id: str) -> Path:
        """The job's folder at the server while it runs."""
        return self.kit(self.server) / job_id

    def rounds_done(self, job_id: str) -> int:
        """Complete rounds of a running job, from the record that the server writes."""
        with suppress(OSError):  # before the first round, and after the end
            record = RunRecord.model_validate_json((self.run_folder(job_id) / "flareseg/record.json").read_text())
            return sum(1 for item in record.rounds if item.seconds)
        return 0

    def wait_for_round(self, job_id: str, rounds: int) -> None:
        """Wait until this many rounds are complete."""
        eventually(lambda: self.rounds_done(job_id) >= rounds, f"{rounds} rounds of {job_id}")

    def job_log(self, job_id: str, name: str | None = None) -> str:
        """What the server's, or a site's, process of a running job has logged."""
        with suppress(OSError):
            return (self.kit(name or self.server) / job_id / "log.txt").read_text(errors="replace")
        return ""

    def wait_for_log(self, job_id: str, text: str) -> None:
        """Wait until the server's process of a running job has logged a text."""
        eventually(lambda: text in self.job_log(job_id), f"in the log of {job_id}: {text}")

    def wait_until_busy(self, job_id: str, name: str) -> None:
        """Wait until a site has been sent work of which the server has no result yet."""
        deadline = time.monotonic() + 240
        while True:
            log = self.job_log(job_id)
            sent = log.count(f"return task to client.  client_name: {name} ")
            if sent > log.count(f"got result from client {name} "):
                return
            assert time.monotonic() < deadline, f"{name} is never busy"
            time.sleep(0.02)

    def job_processes(self, name: str, job_id: str) -> list[psutil.Process]:
        """A participant's process of one job."""
        with suppress(psutil.Error):
            return [process for process in processes_of(self.kit(name)) if job_id in " ".join(process.cmdline())]
        return []

    def kill_job(self, name: str, job_id: str) -> float:
        """Kill a participant's process of one job; gives the time."""
        victims = self.job_processes(name, job_id)
        assert victims, f"{name} has no process of {job_id}"
        for process in victims:
            process.kill()
        return time.monotonic()

    @contextmanager
    def frozen(self, name: str, job_id: str = "") -> Iterator[None]:
        """A participant's processes (of one job) stand still."""
        victims = self.job_processes(name, job_id)
        assert victims
        for process in victims:
            os.kill(process.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            for process in victims:
                with suppress(ProcessLookupError):
                    os.kill(process.pid, signal.SIGCONT)

    def status(self, job_id: str) -> str:
        """NVFlare's status of a job."""
        with self.session() as session:
            return str(session.get_job_meta(job_id)["status"])

    def wait_for_end(self, job_id: str) -> str:
        """Wait until NVFlare says that a job is over; gives its status."""
        with self.session() as session:
            found: Callable[[], str] = lambda: str(session.get_job_meta(job_id)["status"])  # noqa: E731
            eventually(lambda: found().startswith("FINISHED"), f"end of {job_id}")
            return found()

    def resume(self, job_id: str) -> str:
        """Resume a job as its lead; gives the new job's id."""
        return resume(self.workspace, job_id)

    @cached_property
    def unbroken(self) -> Path:
        """Result of the run that nothing happens to."""
        folder = self.result(self.submit(settings()))
        assert load_record(folder).status == "complete"
        return folder


def models(result: Path) -> dict[str, State]:
    """The kept models of a result, by name."""
    return {path.stem: load_model(path)[0] for path in sorted((result / "workspace/flareseg").glob("*.pt"))}


def differences(result: Path, reference: Path) -> list[str]:
    """What differs between two runs in models, scores, counters and participation; nothing, where they are the same."""
    mine, theirs = models(result), models(reference)
    if mine.keys() != theirs.keys():
        return [f"models {sorted(mine)} and {sorted(theirs)}"]
    found = [
        f"{name}.pt: {key}"
        for name, model in mine.items()
        for key, value in model.items()
        if not torch.equal(value, theirs[name][key])
    ]
    return found + [key for key, value in facts(result).items() if value != facts(reference)[key]]


def facts(result: Path) -> dict[str, Any]:
    """All of a record but times, the job's name, and cosines, whose coordinates the server draws anew."""
    content = load_record(result).model_dump(mode="json")
    for key in ("job_id", "resumed_from", "started", "finished"):
        del content[key]
    for item in content["rounds"]:
        del item["seconds"], item["overhead_seconds"], item["updates"]["cosines"]
        for report in item["sites"].values():
            del report["seconds"], report["training_seconds"]
    return content
