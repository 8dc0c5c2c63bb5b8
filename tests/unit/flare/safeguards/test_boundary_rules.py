"""Who may say what to a cell, rule by rule."""

from __future__ import annotations

import pytest
from nvflare.fuel.f3.cellnet.defs import CellChannel
from nvflare.fuel.f3.streaming.download_service import OBJ_DOWNLOADER_CHANNEL
from nvflare.fuel.f3.streaming.stream_const import STREAM_CHANNEL, STREAM_ERROR_TOPIC

from flareseg.flare.safeguards.boundary_rules import BoundaryRules, stands_over

JOB, OTHER = "2d724e95", "9c1b2a77"
ADMIN = "_admin_0b2a5c0e-3f43-4f0f-9a55-6e7b4d8d9a10"
AUX, STREAM, DOWNLOAD = CellChannel.AUX_COMMUNICATION, STREAM_CHANNEL, OBJ_DOWNLOADER_CHANNEL


@pytest.mark.parametrize(
    ("me", "neighbour", "origin", "destination"),
    [
        ("server", "hospital-a", "hospital-a", "server"),
        ("server", f"hospital-a.{JOB}", f"hospital-a.{JOB}", f"server.{JOB}"),
        ("server", f"server.{JOB}", f"server.{JOB}", f"hospital-a.{JOB}"),
        ("server", ADMIN, ADMIN, "server"),
        (f"server.{JOB}", "server", f"hospital-a.{JOB}", f"server.{JOB}"),
        (f"server.{JOB}", "server", "server", f"server.{JOB}"),
        ("hospital-a", "server", "server", "hospital-a"),
        ("hospital-a", f"hospital-a.{JOB}", f"hospital-a.{JOB}", "hospital-a"),
        (f"hospital-a.{JOB}", "server", f"server.{JOB}", f"hospital-a.{JOB}"),
        (f"hospital-a.{JOB}", "server", "server", f"hospital-a.{JOB}"),
        (f"hospital-a.{JOB}", "hospital-a", "hospital-a", f"hospital-a.{JOB}"),
        (f"hospital-a.{JOB}", f"hospital-a.{JOB}", f"hospital-a.{JOB}", f"hospital-a.{JOB}"),
    ],
)
def test_what_a_federation_needs_passes(me: str, neighbour: str, origin: str, destination: str) -> None:
    assert BoundaryRules(me).on_the_way(neighbour, origin, destination) == ""


@pytest.mark.parametrize(
    ("me", "neighbour", "origin", "destination", "reason"),
    [
        # in another's name: the server's, its job's, another site's, an administrator's, a name that begins alike
        ("server", "hospital-c", "server", f"server.{JOB}", "it says it is from server"),
        ("server", "hospital-c", f"server.{JOB}", "server", f"it says it is from server.{JOB}"),
        ("server", f"hospital-c.{JOB}", "hospital-a", "server", "it says it is from hospital-a"),
        ("server", "hospital-c", ADMIN, "server", f"it says it is from {ADMIN}"),
        ("server", "hospital", "hospital-a", "server", "it says it is from hospital-a"),
        # an own job is no relay for its parent's name either
        ("hospital-a", f"hospital-a.{JOB}", "server", "hospital-a", "it says it is from server"),
        # from site to site, on the way and at its end, whatever the server lets pass
        ("server", "hospital-c", "hospital-c", "hospital-a", "sites speak with the server alone"),
        ("server", ADMIN, ADMIN, "hospital-a", "sites speak with the server alone"),
        ("hospital-a", "server", "hospital-c", "hospital-a", "sites speak with the server alone"),
        (f"hospital-a.{JOB}", "server", f"hospital-c.{JOB}", f"hospital-a.{JOB}", "sites speak with the server alone"),
        # another job, and who has no part in a job
        (f"hospital-a.{JOB}", "server", f"server.{OTHER}", f"hospital-a.{JOB}", "has no business"),
        (f"server.{JOB}", "server", f"hospital-c.{OTHER}", f"server.{JOB}", "has no business"),
        (f"server.{JOB}", "server", ADMIN, f"server.{JOB}", "has no business"),
        ("hospital-a", "server", f"server.{JOB}", "hospital-a", "has no business"),
    ],
)
def test_what_nobody_needs_does_not(me: str, neighbour: str, origin: str, destination: str, reason: str) -> None:
    assert reason in BoundaryRules(me).on_the_way(neighbour, origin, destination)


@pytest.mark.parametrize(
    ("me", "channel", "topic", "origin", "allowed"),
    [
        ("server", "task", "heart_beat", "hospital-a", True),
        ("server", "task", "register", ADMIN, True),
        ("server", "task", "heart_beat", ADMIN, False),
        ("server", "task", "report_job_failure", "hospital-a", True),
        ("server", "task", "report_job_failure", f"hospital-a.{JOB}", False),
        ("server", "task", "fire_event", "hospital-a", False),
        ("server", "hci_channel", "command", ADMIN, True),
        ("server", "hci_channel", "command", "hospital-a", False),
        ("server", AUX, "upload", ADMIN, True),
        ("server", AUX, "upload", "hospital-a", False),
        ("server", DOWNLOAD, "download_service__download", ADMIN, True),
        ("server", "server_parent_listener", "get_clients", f"server.{JOB}", True),
        ("server", "server_parent_listener", "get_clients", "hospital-a", False),
        ("server", "server_parent_listener", "get_clients", f"hospital-a.{JOB}", False),
        ("server", "_net_manager", "cells", "server", True),
        ("server", "_net_manager", "cells", "hospital-a", False),
        ("server", "cellnet.channel", "bulk", "hospital-a", False),
        ("server", "cellnet.channel", "bye", "hospital-a", True),
        ("server", "a channel of tomorrow", "x", "hospital-a", False),
        (f"server.{JOB}", "server_command", "get_task", f"hospital-a.{JOB}", True),
        (f"server.{JOB}", "server_command", "abort", f"hospital-a.{JOB}", False),
        (f"server.{JOB}", "server_command", "abort", "server", True),
        (f"server.{JOB}", AUX, "fed.event", f"hospital-a.{JOB}", True),
        (f"server.{JOB}", "_net_manager", "stop_cell", f"hospital-a.{JOB}", False),
        ("hospital-a", "admin", "admin", "server", True),
        ("hospital-a", "admin", "train.notify_job_status", f"hospital-a.{JOB}", True),
        ("hospital-a", "_net_manager", "stop_cell", "server", False),
        ("hospital-a", AUX, "x", "server", False),
        (f"hospital-a.{JOB}", AUX, "__end_run__", f"server.{JOB}", True),
        (f"hospital-a.{JOB}", AUX, "__end_run__", "server", False),
        (f"hospital-a.{JOB}", "client_command", "abort", "hospital-a", True),
        (f"hospital-a.{JOB}", "client_command", "abort", "server", False),
        (f"hospital-a.{JOB}", "client_command", "abort", f"server.{JOB}", False),
        (f"server.{JOB}", STREAM, STREAM_ERROR_TOPIC, "hospital-a", True),
        (f"server.{JOB}", STREAM, "DATA", "hospital-a", False),
        (f"server.{JOB}", AUX, "fed.event", "hospital-a", False),
        (f"server.{JOB}", "server_command", "get_task", "hospital-a", False),
        (f"hospital-a.{JOB}", STREAM, "DATA", f"server.{JOB}", True),
    ],
)
def test_what_each_may_ask(me: str, channel: str, topic: str, origin: str, allowed: bool) -> None:
    assert (BoundaryRules(me).request(channel, topic, origin) == "") is allowed


@pytest.mark.parametrize(("job_id", "allowed"), [(JOB, True), (None, True), (OTHER, False), (["x"], False)])
def test_a_job_s_process_speaks_for_its_own_job(job_id: object, allowed: bool) -> None:
    rules = BoundaryRules("server")
    assert (rules.request("server_parent_listener", "update_run_status", f"server.{JOB}", job_id) == "") is allowed


def test_hierarchical_jobs_need_a_parent_that_is_named() -> None:
    plain, related = BoundaryRules(f"child.{JOB}"), BoundaryRules(f"child.{JOB}", {"child": "parent"})
    way = ("server", f"parent.{JOB}", f"child.{JOB}")
    assert plain.on_the_way(*way)
    assert related.on_the_way(*way) == ""
    assert related.request(AUX, "task", f"parent.{JOB}") == ""
    assert related.request("client_command", "abort", f"parent.{JOB}")
    assert related.on_the_way("server", f"other.{JOB}", f"child.{JOB}")
    # the parents' processes stay apart, and so do the two sites' other jobs
    assert BoundaryRules("child", {"child": "parent"}).request("admin", "admin", "parent")
    assert related.on_the_way("server", f"parent.{OTHER}", f"child.{JOB}")
    assert BoundaryRules("server", {"child": "parent"}).on_the_way("parent", "parent", "child") == ""


def test_a_name_stands_over_what_begins_with_it_and_a_dot() -> None:
    assert stands_over("hospital-a", "hospital-a.job")
    assert stands_over("hospital-a", "hospital-a")
    assert not stands_over("hospital-a", "hospital-ab")
