from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from federation import REPOSITORY
from flareseg.errors import SettingsError
from flareseg.job.approval import APPROVED_JOBS, approve, look_at, refusal
from flareseg.job.bundle import bundle_job
from flareseg.job.folder import load_job
from flareseg.job.manifest import MANIFEST, REVIEW, job_manifest, manifest_digest, received_manifest

SERVER_ADDS = {"job_id": "1", "submitter_name": "lead", "study": "default", "status": "SUBMITTED"}


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    bundle_job(REPOSITORY / "jobs" / "fedgin-fedgs", tmp_path / "bundle")
    return tmp_path / "bundle"


@pytest.fixture
def kit(tmp_path: Path) -> Path:
    for folder in ("startup", "local"):
        (tmp_path / "kit" / folder).mkdir(parents=True)
    (tmp_path / "kit/startup/fed_client.json").write_text("{}")
    return tmp_path / "kit"


def received(bundle: Path) -> dict[str, str]:
    meta = json.loads((bundle / "meta.json").read_text()) | SERVER_ADDS
    return received_manifest(bundle / "app", "app", meta)


def test_an_approved_job_passes_and_no_other(bundle: Path, kit: Path) -> None:
    path = approve(look_at(bundle), kit)
    assert path.parent == kit / "local" / APPROVED_JOBS
    assert refusal(path.parent, "fedgin-fedgs", received(bundle), "app") == ""
    assert refusal(path.parent, "other", {"meta.json": "0"}) == "no job of this name was approved"


def _edit_meta(bundle: Path, **changes: Any) -> None:
    path = bundle / "meta.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


CHANGES: dict[str, tuple[Callable[[Path], Any], str]] = {
    "a setting": (lambda b: (b / "app/config/task.yaml").open("a").write("#"), "app/config/task.yaml was changed"),
    "meta.json": (lambda b: _edit_meta(b, min_clients=1), "meta.json was changed"),
    "the scope": (lambda b: _edit_meta(b, scope="other"), "meta.json was changed"),
    "a launcher": (lambda b: _edit_meta(b, launcher_spec={"x": {}}), "meta.json was changed"),
    "a new file": (lambda b: (b / "app/config/x.conf").write_text(""), "app/config/x.conf was added"),
    "code": (lambda b: ((b / "app/custom").mkdir(), (b / "app/custom/a.py").write_text("")), "custom/a.py was added"),
    "a lost file": (lambda b: (b / "app/config/task.yaml").unlink(), "app/config/task.yaml is missing"),
}


@pytest.mark.parametrize("app", ["app", None], ids=["at a site", "a whole job"])
@pytest.mark.parametrize("change", CHANGES)
def test_a_job_changed_after_its_approval_is_refused(bundle: Path, kit: Path, change: str, app: str | None) -> None:
    folder = approve(look_at(bundle), kit).parent
    spoil, words = CHANGES[change]
    spoil(bundle)
    reason = refusal(folder, "fedgin-fedgs", received(bundle), app)
    assert reason.startswith("not what was approved: ")
    assert words in reason
    with pytest.raises(SettingsError, match=r"is not what its manifest\.json says"):
        approve(look_at(bundle), kit)


def test_an_approval_that_was_edited_approves_nothing(bundle: Path, kit: Path) -> None:
    path = approve(look_at(bundle), kit)
    (bundle / "app/config/task.yaml").open("a").write("#")
    content = json.loads(path.read_text())
    content["files"] = received(bundle)
    path.write_text(json.dumps(content))
    assert refusal(path.parent, "fedgin-fedgs", received(bundle), "app") == "no job of this name was approved"


def test_a_withdrawn_approval_leaves_the_site_closed(bundle: Path, kit: Path) -> None:
    path = approve(look_at(bundle), kit)
    path.unlink()
    assert path.parent.is_dir()
    assert refusal(path.parent, "fedgin-fedgs", received(bundle), "app") == "no job of this name was approved"


def test_only_a_bundle_and_a_site_s_kit_will_do(bundle: Path, kit: Path, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="is not a site's startup kit"):
        approve(look_at(bundle), tmp_path)
    with pytest.raises(SettingsError, match=r"manifest\.json: no such file"):
        look_at(REPOSITORY / "jobs" / "fedgin-fedgs")
    shutil.rmtree(bundle / "app")
    with pytest.raises(SettingsError):
        approve(look_at(bundle), kit)
    assert not (kit / "local" / APPROVED_JOBS).exists()


def restate(bundle: Path) -> None:
    """Make the manifest right again, as somebody does who forges a bundle."""
    files = job_manifest(bundle)
    stated = json.loads((bundle / MANIFEST).read_text()) | {"files": files, "digest": manifest_digest(files)}
    (bundle / MANIFEST).write_text(json.dumps(stated))


def test_a_bundle_whose_review_lies_is_refused(bundle: Path) -> None:
    task = bundle / "app/config/task.yaml"
    task.write_text(task.read_text().replace("rounds: 25", "rounds: 9999"))
    restate(bundle)
    with pytest.raises(SettingsError, match=r"REVIEW\.md: is not what flareseg"):
        look_at(bundle)
    (bundle / REVIEW).unlink()
    assert "9999 rounds" in look_at(bundle).text


def test_what_is_approved_is_what_was_shown(bundle: Path, kit: Path) -> None:
    """A bundle that changes while its reviewer reads."""
    reviewed = look_at(bundle)
    (bundle / "app/config/task.yaml").open("a").write("#")
    folder = approve(reviewed, kit).parent
    assert "task.yaml was changed" in refusal(folder, "fedgin-fedgs", received(bundle), "app")


def test_every_app_is_reviewed(bundle: Path) -> None:
    shutil.copytree(bundle / "app", bundle / "second")
    client = bundle / "second/config/config_fed_client.json"
    client.write_text(client.read_text().replace("flareseg.flare.site.executor.SegmentationExecutor", "os.system"))
    (bundle / "second/config/extra.conf").write_text("a = 1")
    _edit_meta(bundle, deploy_map={"app": ["server", "ct-a"], "second": ["mr-a"]})
    restate(bundle)
    (bundle / REVIEW).unlink()
    first, second = look_at(bundle).text.split("# App second")
    assert "- app: server, ct-a" in first
    assert "- second: mr-a" in first
    assert "os.system" not in first
    assert "sites: `os.system` **not on flareseg's allow-list**" in second
    assert "classes of its own" in second
    assert "Not described here: read them**\n\n- `second/config/extra.conf`" in second


FORGED = "x\n\n## What leaves the site\n\n- Nothing."


@pytest.mark.parametrize("name", [FORGED, "x\x1b[2J", "x\u202e", "", " ", 5, None, "x" * 201])
def test_a_name_that_is_not_one_printable_line_is_refused(bundle: Path, name: Any) -> None:
    _edit_meta(bundle, name=name)
    with pytest.raises(SettingsError, match="name should be one line"):
        restate(bundle)


@pytest.mark.parametrize(
    "deploy_map", [None, {}, [], {"app": "@ALL"}, {"../app": ["@ALL"]}, {"/etc": ["@ALL"]}, {"a\nb": []}, "app"]
)
def test_a_deploy_map_that_names_no_folder_of_the_job_is_refused(bundle: Path, deploy_map: Any) -> None:
    _edit_meta(bundle, deploy_map=deploy_map)
    for use in (job_manifest, load_job):
        with pytest.raises(SettingsError, match="deploy_map"):
            use(bundle)


def test_no_text_of_the_job_forges_a_part_of_its_review(bundle: Path) -> None:
    task = bundle / "app/config/task.yaml"
    content = yaml.safe_load(task.read_text())
    content["local_parameters"] = ["[m\n#`]odel.0.*bias"]
    task.write_text(yaml.safe_dump(content))
    client = bundle / "app/config/config_fed_client.json"
    config = json.loads(client.read_text())
    config["task_result_filters"] = [{"tasks": ["train"], "filters": [{"path": FORGED, "args": {"a": FORGED}}]}]
    client.write_text(json.dumps(config))
    _edit_meta(bundle, name="<h2>x</h2> `", scope=FORGED, resource_spec={"a": FORGED}, custom_props=FORGED)
    restate(bundle)
    (bundle / REVIEW).unlink()
    lines = look_at(bundle).text.splitlines()
    assert sum("What leaves the site" in line and line.startswith("#") for line in lines) == 1
    assert "- Nothing." not in lines
    assert not [line for line in lines if not line.isprintable()]
    outside_code = re.sub("`[^`]*`", "", "\n".join(lines))
    assert "<" not in outside_code
    assert "`" not in outside_code.replace("```", "")


@pytest.mark.parametrize("label", [FORGED, "<h2>What leaves the site</h2>", "`x`", "**x**", "x\x1b[2J", ""])
def test_a_label_that_would_forge_a_part_of_the_review_is_refused(bundle: Path, label: str) -> None:
    task = bundle / "app/config/task.yaml"
    task.write_text(yaml.safe_dump(yaml.safe_load(task.read_text()) | {"labels": [label], "lesion": None}))
    with pytest.raises(SettingsError, match=r"labels\.0: string should match pattern"):
        load_job(bundle)


@pytest.mark.parametrize("name", ["a\n0000  b", "\udce9.yaml", "x\x1b[2J"], ids=ascii)
def test_a_file_name_that_would_forge_a_line_is_refused(bundle: Path, name: str) -> None:
    (bundle / "app" / "config" / name).write_text("")
    with pytest.raises(SettingsError, match="its name is not printable"):
        job_manifest(bundle)
