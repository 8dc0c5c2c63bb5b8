"""A site dies, is slow or is cut off: the others go on, the record says who was missing, the model is theirs."""

from __future__ import annotations

import time

from faults.finding import Finding, Stopwatch
from faults.replay import replay, same
from faults.ward import BEHIND_PROXY, Ward, models, settings
from flareseg.record.run import RunRecord
from flareseg.report import load_record
from secure_federation import eventually

ALL = ["hospital-a", "hospital-b", "hospital-c", "hospital-d"]
LONGER = 6
PATIENCE = {"wait_after_min": 8}


def without(*sites: str) -> list[str]:
    return [site for site in ALL if site not in sites]


def finished(ward: Ward, finding: Finding, job: str, why: str) -> RunRecord:
    """Wait for the job's end, and compare its model with plain code on the same sites."""
    result = ward.result(job)
    record = load_record(result)
    assert record.status == "subset", f"{record.status} {record.reason}"
    numbers = [item.round for item in record.rounds]
    assert sorted({*numbers}) == list(range(record.task["training"]["rounds"]))
    finding.lost = len(numbers) - len({*numbers})
    assert same(replay(ward, record), models(result)["last"]), "not what plain code gives with the same sites"
    finding.model = f"{why}; equal to plain code with the same sites"
    return record


def partial(ward: Ward, job: str) -> bool:
    """Whether NVFlare's own statistics of a finished job say that somebody was missing."""
    return "PARTIAL" in (ward.workspace.folder / "result" / job / "workspace/job_stats_run_summary.log").read_text()


def killed_and_back(ward: Ward) -> list[Finding]:
    """A site's process of the job is killed in a round; the lead aborts and resumes, and the site is there again."""
    gone, back = Finding("site's job process killed in a round"), Finding("the same site, after a resume")
    site = "hospital-b"
    job = ward.submit(settings(rounds=LONGER))
    ward.wait_for_round(job, 1)
    watch = Stopwatch()
    ward.kill_job(site, job)
    ward.wait_for_log(job, f"Client {site} is deemed disconnected!")
    gone.notice = watch.seconds()
    after = ward.rounds_done(job)
    ward.wait_for_round(job, after + 1)
    gone.recover = watch.seconds()
    watch = Stopwatch()
    ward.abort(job)
    status = ward.wait_for_end(job)
    new = ward.resume(job)
    record = finished(ward, back, new, f"without {site} in some rounds")
    missed = [item.round for item in record.rounds if site in item.absent]
    assert missed, "no round says that the site was absent"
    assert all(item.accepted == without(site) for item in record.rounds if item.round in missed)
    assert record.rounds[-1].accepted == ALL, "the site did not come back"
    assert ward.status(new) == "FINISHED:COMPLETED"
    gone.happened = f"the others went on, absent in rounds {', '.join(map(str, missed))}"
    gone.model = back.model
    back.happened = f"aborted ({status}), resumed: in again; ends as subset"
    back.recover = watch.seconds()
    return [gone, back]


def dies_before_heartbeat(ward: Ward) -> list[Finding]:
    """A site's process of the job dies before it has said a word."""
    finding = Finding("site's job process dies before its first heartbeat")
    site = "hospital-c"
    job = ward.submit(settings())
    deadline = time.monotonic() + 240
    while not (found := ward.job_processes(site, job)):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    watch = Stopwatch()
    for process in found:
        process.kill()
    ward.wait_for_log(job, f"Client {site} is deemed disconnected!")
    finding.notice = watch.seconds()
    ward.wait_for_round(job, 1)
    finding.recover = watch.seconds()
    record = finished(ward, finding, job, f"without {site}")
    assert all(site in item.absent and item.accepted == without(site) for item in record.rounds)
    assert ward.status(job) == "FINISHED:COMPLETED"
    assert partial(ward, job), "NVFlare's statistics do not say PARTIAL"
    finding.happened = "absent in every round, said so; ends as subset, NVFlare's statistics say PARTIAL"
    return [finding]


def slow(ward: Ward) -> list[Finding]:
    """A site is slower than the others wait for it."""
    finding = Finding("site slower than wait_after_min")
    site = "hospital-a"
    job = ward.submit(settings(rounds=LONGER, steps=150, aggregation=PATIENCE))
    ward.wait_for_round(job, 1)
    ward.wait_until_busy(job, site)
    watch = Stopwatch()
    with ward.frozen(site, job):
        ward.wait_for_round(job, ward.rounds_done(job) + 1)
        finding.recover = finding.notice = watch.seconds()  # the record of the round says who is missing
    record = finished(ward, finding, job, f"without {site} in some rounds")
    late = [item.round for item in record.rounds if site in item.late]
    missed = [item.round for item in record.rounds if site not in item.accepted]
    assert late, "its result did not come late"
    assert record.rounds[-1].accepted == ALL, "the site did not come back"
    assert partial(ward, job), "NVFlare's statistics do not say PARTIAL"
    finding.happened = f"missing in rounds {', '.join(map(str, missed))}, said to be late, then in again"
    return [finding]


def half_gone(ward: Ward) -> list[Finding]:
    """Half of the sites are lost, machines and all; then one more's job, so that fewer than k are left."""
    half, below = Finding("half of the sites killed, k = 2"), Finding("one more killed: fewer than k left")
    job = ward.submit(settings(rounds=40, aggregation=PATIENCE))
    ward.wait_for_round(job, 1)
    watch = Stopwatch()
    lost = ["hospital-c", "hospital-d"]
    for site in lost:
        ward.kill(site)
    ward.wait_for_round(job, ward.rounds_done(job) + 1)
    half.recover = watch.seconds()
    for site in lost:
        ward.wait_for_log(job, f"Client {site} is deemed disconnected!")
    half.notice = watch.seconds()
    after = ward.rounds_done(job)
    ward.wait_for_round(job, after + 1)
    half.happened = "the job went on with the other half"
    watch = Stopwatch()
    ward.kill_job("hospital-b", job)
    status = ward.wait_for_end(job)
    below.notice = watch.seconds()
    result = ward.result(job)
    record = load_record(result)
    assert record.status == "failed"
    assert all(site in record.reason for site in ("hospital-b", *lost)), record.reason
    assert record.rounds[after].accepted == without(*lost)
    complete = record.model_copy(update={"rounds": [item for item in record.rounds if item.seconds]})
    assert same(replay(ward, complete), models(result)["last"]), "not what plain code gives with the same sites"
    half.model = "without two sites; the run was then stopped"
    below.happened = f"stopped, NVFlare: {status}: {record.reason}"
    below.model = f"that of the {len(complete.rounds)} complete rounds; equal to plain code with the same sites"
    ward.start(*lost)
    return [half, below]


def paused(ward: Ward) -> list[Finding]:
    """All processes of a site stand still for less than the server's patience, then go on."""
    finding = Finding("network: all processes of a site paused")
    site = "hospital-c"
    job = ward.submit(settings(rounds=LONGER, aggregation=PATIENCE))
    ward.wait_for_round(job, 1)
    watch = Stopwatch()
    with ward.frozen(site):
        ward.wait_for_round(job, ward.rounds_done(job) + 1)
        finding.recover = finding.notice = watch.seconds()  # the record of the round says who is missing
    return [_came_back(ward, finding, job, site)]


def port_blocked(ward: Ward) -> list[Finding]:
    """No byte goes between a site and the server until the server takes the site for dead; then they flow again."""
    finding = Finding("network: port to the server blocked")
    job = ward.submit(settings(rounds=2 * LONGER, aggregation=PATIENCE))
    ward.wait_for_round(job, 1)
    watch = Stopwatch()
    removed = f"Remove the dead Client. Name: {BEHIND_PROXY}"
    before = ward.server_log().count(removed)
    with ward.proxy.stalled():
        ward.wait_for_round(job, ward.rounds_done(job) + 1)
        finding.recover = watch.seconds()
        eventually(lambda: ward.server_log().count(removed) > before, f"taken for dead: {BEHIND_PROXY}")
        finding.notice = watch.seconds()
        assert not _registered(ward, BEHIND_PROXY)
    return [_came_back(ward, finding, job, BEHIND_PROXY)]


def _came_back(ward: Ward, finding: Finding, job: str, site: str) -> Finding:
    record = finished(ward, finding, job, f"without {site} in some rounds")
    missed = [item.round for item in record.rounds if site not in item.accepted]
    assert missed, "no round was without the site"
    assert partial(ward, job), "NVFlare's statistics do not say PARTIAL"
    assert all(set(without(site)) <= set(item.accepted) for item in record.rounds)
    eventually(lambda: _registered(ward, site), f"registered again: {site}")
    back = record.rounds[-1].accepted == ALL
    finding.happened = (
        f"missing in rounds {', '.join(map(str, missed))}; {'in again' if back else 'back at the server'}"
    )
    return finding


def _registered(ward: Ward, site: str) -> bool:
    with ward.session() as session:
        return site in ward.registered(session)
