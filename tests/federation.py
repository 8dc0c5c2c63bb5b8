"""A running POC federation of small sites, for integration tests."""

from __future__ import annotations

import zipfile
from pathlib import Path

import yaml

from flareseg.poc.run import stage, submit, watch_and_download
from flareseg.poc.workspace import PocWorkspace
from flareseg.record.run import RunRecord
from flareseg.report import load_record
from tiny import TINY_TASK, write_tiny_site

REPOSITORY = Path(__file__).parents[1]
PROJECT = REPOSITORY / "poc" / "project.yml"
SITES = {"ct-a": "CT", "ct-b": "CT", "mr-a": "MR"}


def tiny_sites(folder: Path) -> Path:
    """Three small sites."""
    for seed, (name, modality) in enumerate(SITES.items()):
        write_tiny_site(folder / name, modality=modality, seed=seed)
    return folder


def tiny_changes(**training: int) -> list[str]:
    """What makes jobs/fedgin-fedgs the small task of the tests."""
    content = {**TINY_TASK, "training": {**TINY_TASK["training"], **training}}
    content["aggregation"] = {"wait_after_min": 20}
    return [f"{key}={yaml.safe_dump(value, default_flow_style=True).strip()}" for key, value in content.items()]


class Federation:
    """A running POC federation."""

    def __init__(self, workspace: PocWorkspace, sites: Path) -> None:
        self.workspace = workspace
        self.sites = sites
        self.seen: list[str] = []

    def submit(self, changes: list[str], job: str = "fedgin-fedgs") -> str:
        return submit(self.workspace, stage(self.workspace, REPOSITORY / "jobs" / job, changes))

    def result(self, job_id: str) -> Path:
        """Wait for a job and give its downloaded result."""
        return watch_and_download(self.workspace, job_id, lambda status, progress: self.seen.append(status)).result

    def run(self, changes: list[str], job: str = "fedgin-fedgs") -> tuple[RunRecord, Path]:
        """Run a job to its end."""
        folder = self.result(self.submit(changes, job))
        return load_record(folder), folder

    def known_to_server(self, result: Path) -> dict[Path, bytes]:
        """Every file that the server has or gave away: its kit with logs and runs, its stores, the job's result.

        Of an archive each file in it is one more, unpacked.
        """
        kit = self.workspace.kits / self.workspace.participants("server")[0]
        folders = [kit, self.workspace.poc / "jobs-storage", result]
        files = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
        known = {path: path.read_bytes() for path in files}
        for path in filter(zipfile.is_zipfile, files):
            with zipfile.ZipFile(path) as archive:
                known |= {path / name: archive.read(name) for name in archive.namelist()}
        return known

    def site_log(self, site: str) -> str:
        """What a site wrote in its own logs."""
        logs = [*(self.workspace.kits / site).glob("*/log.txt"), self.workspace.kits / site / "log.txt"]
        return "\n".join(path.read_text() for path in logs if path.is_file())
