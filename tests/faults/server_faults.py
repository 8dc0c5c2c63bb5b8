"""The server dies or its disk is full; the run goes on by a resume and ends as if nothing had happened."""

from __future__ import annotations

import re
import time
from pathlib import Path

import psutil

from faults.finding import Finding, Stopwatch
from faults.ward import ROUNDS, Ward, differences, models, settings
from flareseg.errors import ExitCode
from flareseg.flare.server.checkpoint import Checkpoint
from flareseg.report import load_record
from secure_federation import eventually

UNBROKEN = "equal to the unbroken run"
NOTHING = "none: nothing was complete"


def checkpoint(ward: Ward, job_id: str) -> Path:
    """Where the server keeps a job's checkpoint."""
    return ward.kit(ward.server) / "checkpoints" / f"{job_id}.pt"


def resumed(ward: Ward, finding: Finding, job_id: str, watch: Stopwatch, done: int) -> Finding:
    """Resume a job with the command as a lead types it, and compare with the run that nothing happened to.

    Args:
        ward: the federation.
        finding: what is known of the fault.
        job_id: the job that stopped.
        watch: started with the fault.
        done: rounds that were complete before the fault.
    """
    kept = Checkpoint.read(checkpoint(ward, job_id)).rounds_done
    printed = ward.workspace.call("flareseg", "job", "resume", job_id, "--kit", ward.kit(ward.user("lead")))
    new = printed.split()[1]
    if kept < ROUNDS:
        ward.wait_for_round(new, kept + 1)
    else:
        ward.wait_for_end(new)
    finding.recover = watch.seconds()
    result = ward.result(new)
    record = load_record(result)
    assert (record.status, record.resumed_from) == ("complete", [job_id]), record.reason
    assert [item.round for item in record.rounds] == list(range(ROUNDS))
    again = [int(number) for number in re.findall(r"Round (\d+) started\.", (result / "workspace/log.txt").read_text())]
    assert again == list(range(kept, ROUNDS))
    finding.lost = sum(number < done for number in again)
    differ = differences(result, ward.unbroken)
    assert not differ, f"differs from the unbroken run: {', '.join(differ)}"
    assert not checkpoint(ward, job_id).exists(), "a run that ended well leaves its checkpoint"
    assert not checkpoint(ward, new).exists(), "a run that ended well leaves its checkpoint"
    finding.model = UNBROKEN
    return finding


def job_process_killed(ward: Ward) -> list[Finding]:
    """The server's process of the job is killed in a round: the third, the last; then in the first."""
    return [*(_killed_in(ward, rounds) for rounds in (2, ROUNDS - 1)), _killed_in_first(ward)]


def _killed_in(ward: Ward, rounds: int) -> Finding:
    finding = Finding(f"server's job process killed after {rounds} of {ROUNDS} rounds")
    job = ward.submit(settings())
    ward.wait_for_round(job, rounds)
    done = ward.rounds_done(job)
    watch = Stopwatch()
    ward.kill_job(ward.server, job)
    status = ward.wait_for_end(job)
    finding.notice = watch.seconds()
    finding.happened = f"NVFlare: {status}; resumed"
    return resumed(ward, finding, job, watch, done)


def _killed_in_first(ward: Ward) -> Finding:
    finding = Finding("server's job process killed in the first round")
    job = ward.submit(settings())
    ward.wait_until_busy(job, ward.site_names[0])
    watch = Stopwatch()
    ward.kill_job(ward.server, job)
    status = ward.wait_for_end(job)
    finding.notice = watch.seconds()
    assert not checkpoint(ward, job).exists(), "the first round was complete"
    record = load_record(ward.result(ward.resume(job)))
    assert (record.status, record.rounds) == ("failed", [])
    assert "no such checkpoint" in record.reason
    finding.happened = f"NVFlare: {status}; a resume says that no round was complete: submit the job anew"
    finding.model = NOTHING
    return finding


def killed_while_scoring(ward: Ward) -> list[Finding]:
    """The server's process of the job is killed after the last round, while the sites score the kept models."""
    finding = Finding("server's job process killed while scoring")
    job = ward.submit(settings())
    ward.wait_for_round(job, ROUNDS - 1)
    deadline = time.monotonic() + 240
    while ward.rounds_done(job) < ROUNDS:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    watch = Stopwatch()
    ward.kill_job(ward.server, job)
    status = ward.wait_for_end(job)
    finding.notice = watch.seconds()
    finding.happened = f"NVFlare: {status}; resumed, no round was run again"
    return [resumed(ward, finding, job, watch, ROUNDS)]


def server_killed(ward: Ward) -> list[Finding]:
    """Every process of the server is killed at once, as a power cut does; its operator starts it again."""
    finding = Finding("server killed in a round, started again")
    job = ward.submit(settings())
    ward.wait_for_round(job, 1)
    done = ward.rounds_done(job)
    watch = Stopwatch()
    ward.kill(ward.server)
    ward.start(ward.server)
    ward.wait_for_sites(ward.site_names)
    status = ward.wait_for_end(job)
    finding.notice = watch.seconds()
    lead = ward.kit(ward.user("lead"))
    told = ward.workspace.call("flareseg", "job", "watch", job, "--kit", lead, code=ExitCode.FAILED)
    assert f"flareseg job resume {job}" in " ".join(told.split())
    finding.happened = f"all sites came back by themselves; NVFlare: {status}; resumed"
    return [resumed(ward, finding, job, watch, done)]


def disk_full(ward: Ward) -> list[Finding]:
    """The server's job process can write no file as large as a model any more, as on a full disk."""
    finding = Finding("disk full while a model is saved")
    job = ward.submit(settings())
    ward.wait_for_round(job, 2)
    (process,) = [item for item in ward.job_processes(ward.server, job) if "runner_process" in " ".join(item.cmdline())]
    most = (ward.run_folder(job) / "flareseg" / "last.pt").stat().st_size // 2
    watch = Stopwatch()
    process.rlimit(psutil.RLIMIT_FSIZE, (most, most))
    done = ward.rounds_done(job)
    status = ward.wait_for_end(job)
    finding.notice = watch.seconds()
    result = ward.result(job)
    record = load_record(result)
    said = "could not be saved (File too large); the one before it remains"
    assert record.status == "failed", record.status
    assert said in record.reason, record.reason
    assert models(result)["last"], "the last good file is gone"
    finding.happened = f"the job stopped and said so, the last good files remain; NVFlare: {status}; resumed"
    return [resumed(ward, finding, job, watch, done)]


def two_jobs(ward: Ward) -> list[Finding]:
    """Two jobs at once at the same sites."""
    jobs = [ward.submit(settings()) for _ in range(2)]
    both = [all(ward.rounds_done(job) for job in jobs)]
    eventually(lambda: both.append(all(ward.job_processes(ward.server, job) for job in jobs)) or both[-1], "both run")
    for job in jobs:
        differ = differences(ward.result(job), ward.unbroken)
        assert not differ, f"differs from the unbroken run: {', '.join(differ)}"
    return [Finding("two jobs at once", "both ran at the same time, neither knew of the other", model=UNBROKEN)]
