"""A bundle is what a site receives, byte for byte, whichever way it is submitted."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest
from nvflare.apis.job_def import JobMetaKey

from flareseg.errors import SettingsError
from flareseg.job.bundle import bundle_job
from flareseg.job.folder import load_job
from flareseg.job.manifest import (
    MANIFEST,
    META,
    REVIEW,
    SET_BY_SERVER,
    SIGNATURE_FILES,
    job_manifest,
    manifest_digest,
    received_manifest,
)
from submission import as_nvflare_submits

JOBS = Path(__file__).parents[3] / "jobs"
NAMES = sorted(path.parent.name for path in JOBS.glob("*/meta.json"))


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    bundle_job(JOBS / "fedgin-fedgs", tmp_path / "bundle", ["training.rounds=3"])
    return tmp_path / "bundle"


@pytest.mark.parametrize("name", NAMES)
def test_nvflare_job_submit_keeps_every_setting_of_every_job(tmp_path: Path, name: str) -> None:
    submitted = as_nvflare_submits(JOBS / name, tmp_path / "copy")
    for path in [META, *(str(path.relative_to(JOBS / name)) for path in (JOBS / name).glob("*/config/*.json"))]:
        assert json.loads((submitted / path).read_text()) == json.loads((JOBS / name / path).read_text()), path


@pytest.mark.parametrize("byoc", [False, True], ids=["configuration", "byoc"])
def test_nvflare_job_submit_changes_no_byte_of_a_bundle(tmp_path: Path, byoc: bool) -> None:
    bundle_job(JOBS / "fedgin-fedgs", tmp_path / "bundle", byoc=byoc)
    assert files(as_nvflare_submits(tmp_path / "bundle", tmp_path / "copy")) == files(tmp_path / "bundle")


def test_nvflare_job_submit_still_drops_what_follows_a_first_group(tmp_path: Path) -> None:
    """The fault that load_job guards against; when NVFlare mends it, this test says so."""
    bundle_job(JOBS / "fedavg", tmp_path / "job")
    meta = json.loads((tmp_path / "job" / META).read_text())
    spoiled = {"deploy_map": meta.pop("deploy_map"), **meta}
    (tmp_path / "job" / META).write_text(json.dumps(spoiled))
    submitted = as_nvflare_submits(tmp_path / "job", tmp_path / "copy")
    assert json.loads((submitted / META).read_text()) == spoiled["deploy_map"]
    with pytest.raises(SettingsError, match="begins with the group 'deploy_map'"):
        load_job(tmp_path / "job")


@pytest.mark.parametrize("key", ["site.org", "*", "a b", "$x", ""])
def test_a_key_that_nvflare_does_not_take_is_refused(tmp_path: Path, key: str) -> None:
    bundle_job(JOBS / "fedavg", tmp_path / "job")
    meta = json.loads((tmp_path / "job" / META).read_text()) | {"resource_spec": {key: {"num_of_gpus": 1}}}
    (tmp_path / "job" / META).write_text(json.dumps(meta))
    with pytest.raises(SettingsError, match=rf"the key '{re.escape(key)}' does not survive"):
        load_job(tmp_path / "job")


def test_what_the_server_adds_is_all_of_nvflare_s_keys_but_the_submitter_s() -> None:
    own = {"name", "deploy_map", "min_clients", "mandatory_clients", "resource_spec", "launcher_spec", "scope"}
    own |= {"custom_props", "edge_method", "stats_pool_config"}
    assert {key.value for key in JobMetaKey} - SET_BY_SERVER == own


def test_a_site_finds_the_lead_s_hashes_in_what_it_receives(bundle: Path) -> None:
    said = json.loads((bundle / MANIFEST).read_text())
    meta = json.loads((bundle / META).read_text())
    for file in SIGNATURE_FILES:
        (bundle / "app" / "config" / file).write_text("NVFlare's")
    received = dict(reversed(meta.items())) | {"job_id": "1", "submitter_name": "lead", "status": "RUNNING"}
    assert received_manifest(bundle / "app", "app", received) == said["files"] == job_manifest(bundle)
    assert manifest_digest(said["files"]) == said["digest"]


@pytest.mark.parametrize(
    "change",
    [
        lambda app, meta: meta.update(scope="dp"),
        lambda app, meta: meta.update(custom_props={"a": 1}),
        lambda app, meta: meta.update(anything="else"),
        lambda app, meta: (app / "config" / "task.yaml").write_text("name: other"),
        lambda app, meta: (app / "config" / "more.json").write_text("{}"),
        lambda app, meta: (app / "config" / "task.yaml").unlink(),
    ],
    ids=["scope", "properties", "unknown key", "changed file", "another file", "missing file"],
)
def test_every_change_of_a_job_changes_what_a_site_finds(bundle: Path, change: object) -> None:
    meta = json.loads((bundle / META).read_text())
    change(bundle / "app", meta)  # type: ignore[operator]
    assert received_manifest(bundle / "app", "app", meta) != json.loads((bundle / MANIFEST).read_text())["files"]


def test_the_files_of_the_review_pass_sha256sum(bundle: Path) -> None:
    listing = (bundle / REVIEW).read_text().split("```\n")[1]
    done = subprocess.run(["sha256sum", "--check", "--strict"], input=listing, text=True, cwd=bundle, check=False)
    assert done.returncode == 0
    assert len(listing.splitlines()) == len(job_manifest(bundle)) == 4


def test_the_review_says_the_settings_and_marks_what_is_foreign(tmp_path: Path, bundle: Path) -> None:
    words = (bundle / REVIEW).read_text()
    for part in ("liver, spleen, kidneys, lesion", "3 rounds of 45 steps", "Scope `open`", "116,953 shared numbers"):
        assert part in words
    assert "allow-list" not in words
    config = tmp_path / "job" / "app/config/config_fed_client.json"
    bundle_job(JOBS / "fedavg", tmp_path / "job")
    config.write_text(
        config.read_text().replace("flareseg.flare.site.executor.SegmentationExecutor", "subprocess.Popen")
    )
    bundle_job(tmp_path / "job", tmp_path / "other", byoc=True)
    words = (tmp_path / "other" / REVIEW).read_text()
    assert "`subprocess.Popen` **not on flareseg's allow-list**" in words
    assert "files of code in the job** (BYOC)" in words
    assert "classes of its own" in words


def test_the_review_of_statistics_speaks_of_no_training(tmp_path: Path) -> None:
    bundle_job(JOBS / "data-statistics", tmp_path / "job")
    words = (tmp_path / "job" / REVIEW).read_text()
    assert "Scope `statistics`: Counts, sums and histograms over enough patients leave" in words
    assert "Sums over the site's patients" in words
    for absent in ("rounds", "shared numbers", "optimiser", "brings code"):
        assert absent not in words


def test_byoc_is_a_copy_without_links(tmp_path: Path) -> None:
    bundle_job(JOBS / "fedavg", tmp_path / "job", byoc=True)
    assert (tmp_path / "job/app/custom/flareseg/flare/site/executor.py").is_file()
    assert not [path for path in (tmp_path / "job").rglob("*") if path.is_symlink() or path.name == "__pycache__"]
    (tmp_path / "job/app/custom/linked").symlink_to(tmp_path)
    with pytest.raises(SettingsError, match="symbolic link"):
        job_manifest(tmp_path / "job")


@pytest.mark.parametrize(
    ("name", "words"), [("a job", "takes no job folder named"), ("taken", "is not a bundle")], ids=["name", "taken"]
)
def test_a_destination_that_cannot_be_is_refused(tmp_path: Path, name: str, words: str) -> None:
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "thesis.txt").write_text("years")
    with pytest.raises(SettingsError, match=words):
        bundle_job(JOBS / "fedavg", tmp_path / name)
    assert (tmp_path / "taken" / "thesis.txt").read_text() == "years"


def test_a_wrong_change_leaves_the_earlier_bundle(bundle: Path) -> None:
    before = files(bundle)
    with pytest.raises(SettingsError, match="unknown key"):
        bundle_job(JOBS / "fedavg", bundle, ["training.round=3"])
    assert files(bundle) == before
    assert [path.name for path in bundle.parent.iterdir()] == ["bundle"]
