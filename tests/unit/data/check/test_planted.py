"""Every kind of fault, planted by itself in a clean site: found, with its level, case and words, and nothing else."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from flareseg.config.site import load_site
from flareseg.config.task import load_task
from flareseg.data.check.case import CaseCheck
from flareseg.data.check.run import full_check, quick_check
from flareseg.data.faults import KINDS, Level
from flareseg.data.faults.findings import Finding
from flareseg.learning.gradient_scale import GradientScale
from site_faults import FAULTS, Fault, PlantedSite

ROOT_ONLY = [fault for fault in FAULTS if fault.forbidden]


def name_of(fault: Fault) -> str:
    return f"{fault.kind.id}: {fault.plant.__name__}"


def check(site: PlantedSite, *, with_task: bool = True) -> tuple[list[Finding], list[Finding]]:
    """Findings of the full and of the quick check."""
    site.save()
    settings = load_site(site.file)
    task = load_task(site.folder / "task.yaml")
    scale = GradientScale(task)
    full = full_check(CaseCheck(settings, task if with_task else None, scale), site.file, processes=1)
    return full.findings, quick_check(settings, task, site.file)


def test_every_kind_is_planted() -> None:
    assert {fault.kind for fault in FAULTS} == set(KINDS)


@pytest.mark.parametrize("modality", ["CT", "MR", "RGB"])
@pytest.mark.parametrize("with_task", [True, False], ids=["task", "no task"])
def test_nothing_is_found_in_a_clean_site(tmp_path: Path, modality: str, with_task: bool) -> None:
    assert check(PlantedSite(tmp_path / "site", modality), with_task=with_task) == ([], [])


@pytest.mark.parametrize("fault", [fault for fault in FAULTS if not fault.forbidden], ids=name_of)
def test_planted(tmp_path: Path, fault: Fault) -> None:
    site = PlantedSite(tmp_path / "site", fault.modality)
    fault.plant(site)
    full, quick = check(site)
    assert {finding.kind for finding in full} == {fault.kind, *fault.also}
    found = [finding for finding in full if finding.kind is fault.kind]
    assert len(found) == fault.count
    assert any(fault.words in finding.message for finding in found), found
    assert {finding.level.value for finding in found} == {fault.level}
    if fault.case is not None:
        assert any(f"case-{fault.case}" in (finding.case or "") for finding in found)
    else:
        assert site.folder.name == "site"
    seen = {finding.kind for finding in quick}
    assert (fault.kind in seen) == fault.quick
    assert seen <= {fault.kind, *fault.also}


@pytest.mark.skipif(os.getuid() != 0, reason="root alone can become another user to be refused")
@pytest.mark.parametrize("fault", ROOT_ONLY, ids=name_of)
def test_planted_permissions(fault: Fault) -> None:
    folder = Path(tempfile.mkdtemp(prefix="flareseg-planted-"))  # pytest's own folders are closed to others
    try:
        folder.chmod(0o755)
        site = PlantedSite(folder / "site")
        fault.plant(site)
        site.save()
        command = [str(Path(sys.executable).parent / "flareseg"), "data", "check", str(site.file), "--json"]
        done = subprocess.run(
            ["setpriv", "--reuid=65534", "--clear-groups", *command],
            capture_output=True,
            text=True,
            cwd="/",
            env={"PATH": os.environ["PATH"], "HOME": "/nonexistent"},
            check=False,
        )
        assert done.returncode == 2, done.stderr
        (finding,) = [item for item in json.loads(done.stdout)["findings"] if item["level"] == Level.ERROR.value]
        assert finding["kind"] == fault.kind.id
        assert fault.words in finding["message"]
        assert (fault.case is None) == (finding["case"] is None)
        assert "permission" in finding["remedy"]
    finally:
        shutil.rmtree(folder)
