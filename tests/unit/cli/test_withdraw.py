"""``flareseg data withdraw``: cases leave lists and cache, and the jobs that used them are named."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import yaml
from typer.testing import CliRunner

from command_line import flareseg
from flareseg.cli.data import app
from flareseg.config.site import load_site
from flareseg.config.task import Task
from flareseg.data.datalist import SPLITS, load_cases
from flareseg.data.site_data import SiteData
from flareseg.privacy.case_use import CASE_USE_FILE, UsedCase, record_use, used_cases
from flareseg.privacy.ledger import LEDGER_FILE, append
from tiny import write_tiny_site


@pytest.fixture
def kit(tmp_path: Path, task: Task) -> Path:
    """A site whose first training case has a second image, of the same patient; three jobs ran there."""
    kit = tmp_path / "hospital-a"
    data = write_tiny_site(tmp_path / "data")
    (kit / "local").mkdir(parents=True)
    content = yaml.safe_load(data.read_text())
    entries = {
        split: [{"image": f"images/{case.image.name}", "label": f"labels/{case.label.name}"} for case in cases]
        for split, cases in load_cases(load_site(data).data).items()
    }
    for number, entry in enumerate(entry for part in entries.values() for entry in part):
        entry["patient"] = f"p{number // 2}"
    (data.parent / "datalist.json").write_text(json.dumps(entries))
    content["data"] = {"root": str(data.parent), "datalist": "datalist.json"}
    (kit / "local" / "site.yaml").write_text(f"# ours\n{yaml.safe_dump(content)}")
    site = load_site(kit / "local" / "site.yaml")
    prepared = SiteData(task, site, kit / "cache")
    record_use(kit / CASE_USE_FILE, "job-1", task.name, used_cases(prepared))
    everyone = [case for part in load_cases(site.data).values() for case in part]
    record_use(kit / CASE_USE_FILE, "job-2", "counts", {"statistics": [UsedCase.of(case) for case in everyone]})
    weights = {"w": np.ones(3, dtype=np.float32)}
    for job, kind, rounds in (
        ("old", "WEIGHT_DIFF", (0,)),
        ("job-1", "WEIGHT_DIFF", (0, 1)),
        ("job-2", "STATISTICS", (0,)),
    ):
        for number in rounds:
            said = {"task": "train", "round_number": number, "kind": kind, "recipient": "server", "content": weights}
            append(kit / LEDGER_FILE, job=job, **said)
    (kit / "job-1").mkdir()
    return kit


def withdraw(*arguments: object) -> str:
    done = flareseg("data", "withdraw", *arguments)
    assert done.returncode == 0, done.stderr
    return " ".join(done.stdout.split())


def test_a_patient_leaves_lists_and_cache_and_their_jobs_are_named(kit: Path, task: Task) -> None:
    path = kit / "local" / "site.yaml"
    before = load_cases(load_site(path).data)
    wanted = before["training"][0]
    theirs = {case.name for part in before.values() for case in part if case.patient == wanted.patient}
    assert len(theirs) == 2
    entries = {entry.name for entry in (kit / "cache").iterdir() if entry.is_dir()}
    said = withdraw(wanted.name, "--kit", kit, "--yes")
    after = load_cases(load_site(path).data)
    assert {case.name for part in after.values() for case in part} == {
        case.name for part in before.values() for case in part
    } - theirs
    gone = entries - {entry.name for entry in (kit / "cache").iterdir() if entry.is_dir()}
    assert len(gone) == 2
    assert "2 entries of the cache removed" in said
    assert "job-1" in said
    assert "rounds 1 to 2" in said
    assert "job-2" in said
    assert "whether they used them is not known" in said
    assert "old" in said
    assert f"Holds what was learned with them, or speaks of it: {kit / 'job-1'}" in said
    assert all(name in said for name in theirs)
    assert (kit / "local" / "site.yaml.before").read_text().startswith("# ours")
    prepared = SiteData(task, load_site(path), kit / "cache")
    assert not {case.name for split in SPLITS for case in prepared.volumes(split).cases} & theirs


def test_it_is_asked_for_first_and_can_be_said_again(kit: Path) -> None:
    path = kit / "local" / "site.yaml"
    before = path.read_bytes()
    name = load_cases(load_site(path).data)["training"][0].patient
    done = CliRunner().invoke(app, ["withdraw", str(name), "--kit", str(kit)], input="n\n")
    assert done.exit_code == 1
    assert path.read_bytes() == before
    withdraw(name, "--kit", kit, "--yes")
    excluded = path.read_bytes()
    assert "job-1" in withdraw(name, "--kit", kit, "--yes")
    assert path.read_bytes() == excluded


def test_a_name_that_nobody_has(kit: Path) -> None:
    done = flareseg("data", "withdraw", "p99", "--kit", kit, "--yes")
    assert done.returncode == 2
    assert "no case and no patient 'p99'" in done.stderr
