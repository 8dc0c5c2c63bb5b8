"""Jobs that ask for what no site allows: each ends in a refusal with a clear line, and the federation works on."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyhocon
import pytest

from federation import REPOSITORY, tiny_changes
from flareseg.approval import APPROVED_JOBS, approve
from flareseg.bundle import bundle_job
from secure_federation import SecureFederation, eventually

pytestmark = pytest.mark.slow

SITE = "hospital-a"
CLIENT, SERVER = "app/config/config_fed_client.json", "app/config/config_fed_server.json"
TENSORBOARD = "nvflare.app_opt.tracking.tb.tb_receiver.TBAnalyticsReceiver"
CONVERTER = "nvflare.app_common.widgets.convert_to_fed_event.ConvertToFedEvent"
PERSISTOR = "nvflare.app_opt.pt.file_model_persistor.PTFileModelPersistor"
WRITER = "nvflare.app_common.widgets.metrics_artifact_writer.MetricsArtifactWriter"

Change = Callable[[Path, Path], Any]
"""Changes a job; the second path is a file that must not be there afterwards."""


@pytest.fixture
def planted(tmp_path: Path) -> Iterator[Path]:
    """What an attack would leave behind: a file that must not be there afterwards."""
    yield tmp_path / "planted"
    assert not (tmp_path / "planted").exists()


def make(folder: Path, change: Change, planted: Path) -> Path:
    """The small job, changed after its bundle was made."""
    job = folder / "job"
    bundle_job(REPOSITORY / "jobs" / "fedgin-fedgs", job, tiny_changes())
    change(job, planted)
    return job


def add(file: str, path: str, /, **args: Any) -> Change:
    """Add a component to one side; ``PLANTED`` in an argument becomes the path of the planted file."""

    def change(job: Path, planted: Path) -> None:
        content = json.loads((job / file).read_text())
        content["components"].append({"id": "added", "path": path, "args": args})
        (job / file).write_text(json.dumps(content).replace("PLANTED", str(planted)))

    return change


def _hocon(job: Path, planted: Path) -> None:
    """The same configuration in NVFlare's second format, and none in the first."""
    add(CLIENT, "subprocess.Popen", args=["touch", "PLANTED"])(job, planted)
    content = pyhocon.ConfigFactory.from_dict(json.loads((job / CLIENT).read_text()))
    (job / CLIENT).with_suffix(".conf").write_text(pyhocon.HOCONConverter.to_hocon(content))
    (job / CLIENT).unlink()


def _code(job: Path, planted: Path) -> None:
    (job / "app/custom").mkdir()
    (job / "app/custom/code.py").write_text(f"open({str(planted)!r}, 'w')")


def _meta(**changes: Any) -> Change:
    def change(job: Path, planted: Path) -> None:
        path = job / "meta.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | changes))

    return change


POPEN = {"path": "subprocess.Popen", "args": {"args": ["touch", "PLANTED"]}}
MKDIR = {"config_type": "dict", "path": "os.mkdir", "args": {"path": "PLANTED"}}

AT_SITES: dict[str, tuple[Change, str]] = {
    "a class off the list": (
        add(CLIENT, "subprocess.Popen", args=["touch", "PLANTED"]),
        "Component 'subprocess.Popen' at config path 'components.#3' is not in allow_list",
    ),
    "the same in HOCON": (_hocon, "Component 'subprocess.Popen' at config path 'components.#3' is not in allow_list"),
    "a listed class that would build another": (
        add(CLIENT, CONVERTER, events_to_convert=["analytix_log_stats"], fed_event_prefix=POPEN),
        f"component {CONVERTER} refused: it may send the curves",
    ),
    "log messages sent as events": (
        add(CLIENT, CONVERTER, events_to_convert=["_error_log_available"]),
        f"component {CONVERTER} refused: it may send the curves (analytix_log_stats) and no other event",
    ),
}

AT_THE_SERVER: dict[str, tuple[Change, str]] = {
    "a pickle loader": (
        add(SERVER, PERSISTOR, source_ckpt_file_full_name="PLANTED", load_weights_only=False),
        f"Component '{PERSISTOR}' at config path 'components.#9' is not in allow_list",
    ),
    "config_type: dict": (
        add(SERVER, TENSORBOARD, tb_folder=MKDIR),
        f"component {TENSORBOARD} refused: args.tb_folder would build another object (config_type, path)",
    ),
    "_target_": (
        add(SERVER, TENSORBOARD, tb_folder={"_target_": "os.mkdir", "path": "PLANTED"}),
        f"component {TENSORBOARD} refused: args.tb_folder would build another object (_target_, path)",
    ),
    "an absolute path": (
        add(SERVER, TENSORBOARD, tb_folder="PLANTED"),
        f"component {TENSORBOARD} refused: args.tb_folder reaches outside the job's folder",
    ),
    "a path upwards": (
        add(SERVER, WRITER, results_dir="../../planted"),
        f"component {WRITER} refused: args.results_dir reaches outside the job's folder: ../../planted",
    ),
    "a path for our own": (
        add(SERVER, "flareseg.flare.persistor.SegmentationModelPersistor", path="PLANTED"),
        "component flareseg.flare.persistor.SegmentationModelPersistor refused: args.path reaches outside",
    ),
}

NOT_DEPLOYED: dict[str, tuple[Change, str]] = {
    "code where BYOC is not allowed": (_code, "BYOC not permitted"),
    "another privacy scope": (_meta(scope="none-such"), "privacy scope 'none-such' is not allowed"),
}


def end(secure: SecureFederation, job_id: str) -> tuple[str, dict[str, Any], Path]:
    """Wait for a job's end; its status, its meta, and what the server kept of it."""
    with secure.session() as session:
        eventually(lambda: session.get_job_status(job_id).startswith("FINISHED"), f"ended: job {job_id}")
        folder = secure.workspace.folder / "refused"
        folder.mkdir(exist_ok=True)
        result = session.download_job_result(job_id, str(folder))
        return session.get_job_status(job_id), session.get_job_meta(job_id), Path(result)


def submit(secure: SecureFederation, job: Path) -> str:
    with secure.session() as session:
        return str(session.submit_job(str(job)))


@pytest.mark.parametrize("case", AT_SITES)
def test_a_site_does_not_build_it(secure: SecureFederation, tmp_path: Path, planted: Path, case: str) -> None:
    change, line = AT_SITES[case]
    job_id = submit(secure, make(tmp_path, change, planted))
    log = secure.kit(SITE) / job_id / "log.txt"
    try:
        eventually(lambda: log.is_file() and line in log.read_text(), f"in {log}: {line}")
    finally:
        secure.abort(job_id)
    end(secure, job_id)


@pytest.mark.parametrize("case", AT_THE_SERVER)
def test_the_server_does_not_build_it(secure: SecureFederation, tmp_path: Path, planted: Path, case: str) -> None:
    change, line = AT_THE_SERVER[case]
    status, _, result = end(secure, submit(secure, make(tmp_path, change, planted)))
    assert status != "FINISHED:COMPLETED"
    assert line in "\n".join(path.read_text() for path in result.rglob("log.txt"))


@pytest.mark.parametrize("case", NOT_DEPLOYED)
def test_it_is_not_deployed(secure: SecureFederation, tmp_path: Path, planted: Path, case: str) -> None:
    change, line = NOT_DEPLOYED[case]
    status, meta, _ = end(secure, submit(secure, make(tmp_path, change, planted)))
    assert status != "FINISHED:COMPLETED"
    assert any(line in detail for detail in meta["job_deploy_detail"])
    assert line in secure.server_log()


def test_a_component_refused_at_a_site_stands_in_its_audit_log(secure: SecureFederation) -> None:
    audit = secure.audit_log(SITE)
    assert f"[A:component_guard.refused]component {CONVERTER} refused" in audit
    assert secure.user("lead") in audit


def test_a_job_changed_after_its_approval_runs_at_the_other_sites_alone(
    secure: SecureFederation, tmp_path: Path, planted: Path
) -> None:
    """The site runs the job that its reviewer approved, and not the one with another task.yaml or meta.json."""
    job = make(tmp_path, lambda job, planted: None, planted)
    try:
        approve(job, secure.kit(SITE))
        changed = shutil.copytree(job, tmp_path / "changed")
        (changed / "app/config/task.yaml").open("a").write("# changed\n")
        _, meta, result = end(secure, submit(secure, changed))
        reason = "not what was approved: app/config/task.yaml was changed"
        assert f"{SITE}: {reason}" in meta["job_deploy_detail"]
        assert f"[A:approved_jobs.refused]job {meta['job_id']} of {secure.user('lead')} refused, {reason}" in (
            secure.audit_log(SITE)
        )
        assert not (secure.kit(SITE) / meta["job_id"] / "log.txt").exists()
        assert _accepted(result) == ["hospital-b", "hospital-c"]

        _meta(min_clients=1)(job, planted)
        _, meta, _ = end(secure, submit(secure, job))
        assert f"{SITE}: not what was approved: meta.json was changed" in meta["job_deploy_detail"]
        _meta(min_clients=2)(job, planted)
        _, _, result = end(secure, submit(secure, job))
        assert _accepted(result) == secure.site_names
    finally:
        shutil.rmtree(secure.kit(SITE) / "local" / APPROVED_JOBS, ignore_errors=True)


def test_the_federation_works_on(secure: SecureFederation) -> None:
    record, _ = secure.run(tiny_changes())
    assert record.status == "complete"


def _accepted(result: Path) -> list[str]:
    (path,) = result.rglob("flareseg/record.json")
    accepted: list[str] = json.loads(path.read_text())["rounds"][-1]["accepted"]
    return accepted
