"""Watching a job: the lead's terminal, TensorBoard from the first round, and logs of one line for each event."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pexpect
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from federation import Federation, tiny_changes
from secure_federation import SecureFederation, eventually

pytestmark = pytest.mark.slow

PATIENCE = 300


def command(federation: Federation, job_id: str) -> list[str]:
    """``flareseg job watch`` as the lead types it."""
    flareseg = str(Path(sys.executable).parent / "flareseg")
    return [flareseg, "job", "watch", job_id, "--kit", str(federation.workspace.lead_kit[1])]


def watch(federation: Federation, job_id: str) -> subprocess.Popen[str]:
    """The command with its output in a pipe, in a process group of its own."""
    return subprocess.Popen(
        command(federation, job_id),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=os.environ | {"HOME": str(federation.workspace.home), "COLUMNS": "160"},
        start_new_session=True,
    )


def watch_on_a_terminal(federation: Federation, job_id: str) -> pexpect.spawn:
    """The command on a terminal, where it draws a live table."""
    program, *arguments = command(federation, job_id)
    return pexpect.spawn(
        program,
        arguments,
        env=os.environ | {"HOME": str(federation.workspace.home), "TERM": "xterm-256color"},
        encoding="utf-8",
        timeout=PATIENCE,
        dimensions=(50, 160),
    )


def ctrl_c(terminal: pexpect.spawn) -> str:
    """Type it, and give the rest of what the terminal shows."""
    terminal.sendintr()
    terminal.expect(pexpect.EOF)
    terminal.close()
    return plain(terminal.before)


def plain(shown: object) -> str:
    """What a terminal shows, without colours and movements."""
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", str(shown))


def status(federation: SecureFederation, job_id: str) -> str:
    with federation.session() as session:
        return str(session.get_job_status(job_id))


def events(folder: Path) -> list[dict[str, str]]:
    return [json.loads(line) for path in folder.glob("log.json*") for line in path.read_text().splitlines()]


def test_a_job_of_a_secure_federation_is_watched(secure: SecureFederation) -> None:
    """Ctrl-C leaves it running, a second look sees its end, and meanwhile TensorBoard and logs are there."""
    job_id = secure.submit(tiny_changes(rounds=4, steps=150))
    terminal = watch_on_a_terminal(secure, job_id)
    first = watch(secure, job_id)
    assert first.stdout is not None
    shown = []
    for line in first.stdout:
        shown.append(line)
        if line.startswith("Round "):
            break
    assert shown[-1].startswith("Round 1/4"), shown
    assert all(f"{name}: Dice" in shown[-1] for name in secure.site_names)
    terminal.expect("accepted.*?└")
    table = plain(f"{terminal.before}{terminal.after}")
    assert re.search(r"round [2-4] of 4, time left \d+:\d\d", table)
    assert all(word in table for word in ("Site", "Dice", "Loss", "η", "Seconds", "State", *secure.site_names))
    assert f"Job {job_id} goes on." in ctrl_c(terminal)
    assert terminal.exitstatus == 130
    os.killpg(first.pid, signal.SIGINT)
    output, _ = first.communicate(timeout=PATIENCE)
    assert first.returncode == 130, output
    assert f"Job {job_id} goes on." in output
    assert "Traceback" not in output

    server_run = secure.kit(secure.server) / job_id
    for name in secure.site_names:
        folder = server_run / "tb_events" / name
        eventually(lambda folder=folder: folder.is_dir() and "train/loss" in scalars(folder), f"scalars of {name}")
        assert scalars(folder)["train/loss"][0] == 0
    assert status(secure, job_id) == "RUNNING"

    second = watch(secure, job_id)
    output, _ = second.communicate(timeout=PATIENCE)
    assert second.returncode == 0, output
    assert "mean Dice of the final model" in output
    assert status(secure, job_id) == "FINISHED:COMPLETED"

    statistics = json.loads((secure.result(job_id) / "workspace" / "job_stats_run_summary.json").read_text())
    assert [item["round"] for item in statistics["rounds"]] == [0, 1, 2, 3]

    site = secure.site_names[0]
    logged = events(secure.kit(site) / job_id) + events(secure.kit(site))
    ours = [item for item in logged if item["fullName"].startswith("flareseg.")]
    assert any("data ready" in item["message"] and item["identity"] == site for item in ours)
    assert all({"time", "levelname", "message"} <= item.keys() for item in logged)
    assert len(logged) > len(ours)


def scalars(folder: Path) -> dict[str, list[int]]:
    """Steps of each scalar."""
    found = EventAccumulator(str(folder)).Reload()
    return {tag: [event.step for event in found.Scalars(tag)] for tag in found.Tags()["scalars"]}


def test_a_wrong_job_or_kit_is_told(secure: SecureFederation, tmp_path: Path) -> None:
    unknown = watch(secure, "6a1f4c1e-0e4b-4d2a-9a53-0c6f3f0f7d11")
    output, _ = unknown.communicate(timeout=PATIENCE)
    assert unknown.returncode == 2
    assert "The server knows no job 6a1f4c1e" in output
    wrong_kit = [*command(secure, "1")[:-1], str(tmp_path)]
    done = subprocess.run(wrong_kit, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "no admin's startup kit" in done.stderr


def test_a_subset_of_a_poc_federation_exits_with_3(federation: Federation) -> None:
    """The same command with a kit of POC mode; one site has no data."""
    images = federation.sites / "mr-a" / "images"
    images.rename(images.with_name("away"))
    try:
        job_id = federation.submit(tiny_changes(rounds=2))
        process = watch(federation, job_id)
        output, _ = process.communicate(timeout=PATIENCE)
    finally:
        images.with_name("away").rename(images)
    assert process.returncode == 3, output
    assert "without mr-a" in output
