"""Submitting, listing, aborting, downloading and cloning: in the admin console, with ``nvflare job``, by FLARE API."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator
from contextlib import redirect_stdout
from pathlib import Path

import pexpect
import pytest

from federation import REPOSITORY, tiny_changes
from flareseg.job.bundle import bundle_job
from flareseg.job.manifest import MANIFEST, received_manifest
from secure_federation import PATIENCE_SECONDS, SecureFederation, eventually

pytestmark = pytest.mark.slow
JOB_ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
FINISHED = ("FINISHED:COMPLETED", "FINISHED:ABORTED", "FINISHED:EXECUTION_EXCEPTION", "FINISHED:ABNORMAL")


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A job of one round, as it is submitted."""
    folder = tmp_path_factory.mktemp("bundle") / "tiny"
    bundle_job(REPOSITORY / "jobs/fedgin-fedgs", folder, tiny_changes(rounds=1))
    return folder


@pytest.fixture(scope="module")
def long_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A job that runs until it is aborted."""
    folder = tmp_path_factory.mktemp("bundle") / "long"
    bundle_job(REPOSITORY / "jobs/fedgin-fedgs", folder, tiny_changes(rounds=500))
    return folder


def is_the_bundle(received: Path, bundle: Path) -> None:
    """Compare a site's run folder with the manifest that its reviewer read."""
    meta = json.loads((received / "meta.json").read_text())
    (app,) = received.glob("app_*")
    assert received_manifest(app, "app", meta) == json.loads((bundle / MANIFEST).read_text())["files"]


class Console:
    """``startup/fl_admin.sh`` in a pseudo-terminal."""

    def __init__(self, secure: SecureFederation, role: str) -> None:
        user = secure.user(role)
        kit = secure.kit(user)
        self.transcript = io.StringIO()
        self.terminal = pexpect.spawn(
            str(kit / "startup/fl_admin.sh"),
            cwd=str(kit),
            env=secure.workspace.environment,
            encoding="utf-8",
            timeout=PATIENCE_SECONDS,
            dimensions=(50, 250),
        )
        self.terminal.logfile_read = self.transcript
        self.terminal.expect("User Name: ")
        self.terminal.sendline(user)
        self.terminal.expect_exact("> ")

    def type(self, command: str, question: str | None = None) -> str:
        """Type a command (and yes to its question) and give what the console answers."""
        self.terminal.sendline(command)
        if question is not None:
            self.terminal.expect(question)
            self.terminal.sendline("y")
        self.terminal.expect(r"Done \[\d+ usecs\][^\n]*\n")
        answer = str(self.terminal.before)
        self.terminal.expect_exact("> ")
        return answer

    def close(self) -> None:
        self.terminal.sendline("bye")
        self.terminal.expect(pexpect.EOF)
        self.terminal.close()


@pytest.fixture
def console(secure: SecureFederation) -> Iterator[Console]:
    """The lead's console."""
    opened = Console(secure, "lead")
    try:
        yield opened
    finally:
        opened.terminal.close(force=True)


def status_in_console(console: Console, job_id: str) -> str:
    (line,) = [line for line in console.type("list_jobs").splitlines() if job_id in line]
    return line.split("|")[3].strip()


def test_admin_console(secure: SecureFederation, console: Console, bundle: Path, long_bundle: Path) -> None:
    (job_id,) = JOB_ID.findall(console.type(f"submit_job {bundle}"))
    eventually(lambda: status_in_console(console, job_id) in FINISHED, f"finished: {job_id}")
    assert status_in_console(console, job_id) == "FINISHED:COMPLETED"
    console.type(f"download_job {job_id}")
    result = secure.kit(secure.user("lead")) / "transfer" / job_id
    assert (result / "workspace/flareseg/record.json").is_file()
    is_the_bundle(secure.kit("hospital-a") / job_id, bundle)

    answer = console.type(f"clone_job {job_id}")
    (clone,) = [found for found in JOB_ID.findall(answer) if found != job_id]
    assert '"scope": "open"' in console.type(f"list_jobs -d {clone}")
    eventually(lambda: status_in_console(console, clone) in FINISHED, f"finished: {clone}")
    assert status_in_console(console, clone) == "FINISHED:COMPLETED"
    is_the_bundle(secure.kit("hospital-a") / clone, bundle)

    (aborted,) = JOB_ID.findall(console.type(f"submit_job {long_bundle}"))
    eventually(lambda: status_in_console(console, aborted) == "RUNNING", f"running: {aborted}")
    console.type(f"abort_job {aborted}", question="(?i)are you sure")
    eventually(lambda: status_in_console(console, aborted) == "FINISHED:ABORTED", f"aborted: {aborted}")
    console.close()


def nvflare_job(secure: SecureFederation, *arguments: str | Path, code: int = 0) -> str:
    """``nvflare job ...`` with the lead's kit."""
    kit = secure.kit(secure.user("lead"))
    return secure.workspace.call("nvflare", "job", *arguments, "--startup-kit", kit, code=code)


def test_nvflare_job(secure: SecureFederation, bundle: Path, long_bundle: Path, tmp_path: Path) -> None:
    token = ["--submit-token", "retry-1"]
    (job_id,) = JOB_ID.findall(nvflare_job(secure, "submit", "-j", bundle, *token))
    assert JOB_ID.findall(nvflare_job(secure, "submit", "-j", bundle, *token)) == [job_id]  # a retry is no second job
    assert "FINISHED:COMPLETED" in nvflare_job(secure, "wait", job_id)
    assert job_id in nvflare_job(secure, "list")
    nvflare_job(secure, "download", job_id, "-o", tmp_path)
    assert (tmp_path / job_id / "workspace/flareseg/record.json").is_file()
    is_the_bundle(secure.kit("hospital-b") / job_id, bundle)

    answer = nvflare_job(secure, "clone", job_id)
    (clone,) = [found for found in JOB_ID.findall(answer) if found != job_id]
    assert "FINISHED:COMPLETED" in nvflare_job(secure, "wait", clone)

    (aborted,) = JOB_ID.findall(nvflare_job(secure, "submit", "-j", long_bundle))
    eventually(lambda: "RUNNING" in nvflare_job(secure, "meta", aborted), f"running: {aborted}")
    nvflare_job(secure, "abort", aborted, "--force")
    assert "ABORTED" in nvflare_job(secure, "wait", aborted, code=1)


def test_flare_api(secure: SecureFederation, bundle: Path, long_bundle: Path, tmp_path: Path) -> None:
    with secure.session("lead") as session, redirect_stdout(io.StringIO()):
        job_id = session.submit_job(str(bundle))
        eventually(lambda: session.get_job_status(job_id) in FINISHED, f"finished: {job_id}")
        assert session.get_job_status(job_id) == "FINISHED:COMPLETED"
        assert job_id in {item["job_id"] for item in session.list_jobs()}
        assert Path(session.download_job_result(job_id, str(tmp_path))).is_dir()
        clone = session.clone_job(job_id)
        assert session.get_job_meta(clone)["scope"] == "open"
        eventually(lambda: session.get_job_status(clone) in FINISHED, f"finished: {clone}")
        assert session.get_job_status(clone) == "FINISHED:COMPLETED"
        aborted = session.submit_job(str(long_bundle))
        eventually(lambda: session.get_job_status(aborted) == "RUNNING", f"running: {aborted}")
        session.abort_job(aborted)
        eventually(lambda: session.get_job_status(aborted) == "FINISHED:ABORTED", f"aborted: {aborted}")
