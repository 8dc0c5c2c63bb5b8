from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from federation import REPOSITORY
from flareseg.errors import SettingsError
from flareseg.job.approval import APPROVED_JOBS, approve, refusal
from flareseg.job.bundle import bundle_job
from flareseg.job.manifest import received_manifest

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
    path = approve(bundle, kit)
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
    folder = approve(bundle, kit).parent
    spoil, words = CHANGES[change]
    spoil(bundle)
    reason = refusal(folder, "fedgin-fedgs", received(bundle), app)
    assert reason.startswith("not what was approved: ")
    assert words in reason
    with pytest.raises(SettingsError, match=r"is not what its manifest\.json says"):
        approve(bundle, kit)


def test_an_approval_that_was_edited_approves_nothing(bundle: Path, kit: Path) -> None:
    path = approve(bundle, kit)
    (bundle / "app/config/task.yaml").open("a").write("#")
    content = json.loads(path.read_text())
    content["files"] = received(bundle)
    path.write_text(json.dumps(content))
    assert refusal(path.parent, "fedgin-fedgs", received(bundle), "app") == "no job of this name was approved"


def test_a_withdrawn_approval_leaves_the_site_closed(bundle: Path, kit: Path) -> None:
    path = approve(bundle, kit)
    path.unlink()
    assert path.parent.is_dir()
    assert refusal(path.parent, "fedgin-fedgs", received(bundle), "app") == "no job of this name was approved"


def test_only_a_bundle_and_a_site_s_kit_will_do(bundle: Path, kit: Path, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="is not a site's startup kit"):
        approve(bundle, tmp_path)
    with pytest.raises(SettingsError, match=r"manifest\.json: cannot be used"):
        approve(REPOSITORY / "jobs" / "fedgin-fedgs", kit)
    shutil.rmtree(bundle / "app")
    with pytest.raises(SettingsError):
        approve(bundle, kit)
    assert not (kit / "local" / APPROVED_JOBS).exists()
