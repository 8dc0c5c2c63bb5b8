from __future__ import annotations

import socket
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

from flareseg.errors import SettingsError
from flareseg.poc.workspace import PocWorkspace
from flareseg.processes import choose_ports, end_processes, port_is_free, processes_of


def run(tmp_path: Path, name: str, argument: str) -> subprocess.Popen[bytes]:
    """A process that sleeps, with two words of our choice on its command line."""
    script = tmp_path / name
    script.parent.mkdir(parents=True, exist_ok=True)
    script.write_text("import time\nprint('up', flush=True)\ntime.sleep(60)\n")
    process = subprocess.Popen([sys.executable, str(script), argument], stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"up\n"
    return process


def test_only_nvflare_s_processes_of_this_workspace_are_ended(tmp_path: Path) -> None:
    mine, other = tmp_path / "mine", tmp_path / "other"
    ours = run(mine, "site/startup/sub_start.sh", "x")
    bystander = run(tmp_path, "tail.py", str(mine / "site" / "log.txt"))
    elsewhere = run(other, "site/startup/sub_start.sh", "x")
    try:
        assert [process.pid for process in processes_of(mine)] == [ours.pid]
        assert end_processes(mine, patience=0) == [ours.pid]
        assert not processes_of(mine)
        assert bystander.poll() is None
        assert elsewhere.poll() is None
    finally:
        for process in (ours, bystander, elsewhere):
            process.kill()
            process.wait()


def test_a_taken_port_is_replaced_and_its_owner_named() -> None:
    """Taken here, or by the federation of the integration tests before."""
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with suppress(OSError):
            taken.bind(("", 8003))
            taken.listen()
        assert not port_is_free(8003)
        (_, admin), messages = choose_ports()
        (owner,) = {item.pid for item in psutil.net_connections("tcp") if is_listener(item)}
    assert admin != 8003
    assert any(f"Port 8003 is used by {psutil.Process(owner).name()} (pid {owner})" in message for message in messages)


def is_listener(connection: Any) -> bool:
    return connection.status == psutil.CONN_LISTEN and connection.laddr.port == 8003


def test_a_folder_of_somebody_else_is_not_taken(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(SettingsError, match="not made by flareseg"):
        PocWorkspace(tmp_path).claim()
    new = PocWorkspace(tmp_path / "new")
    new.claim()
    (new.folder / "anything").touch()
    new.claim()


def test_the_client_of_one_kit_is_found_though_it_names_only_the_kit(tmp_path: Path) -> None:
    kits = [tmp_path / "hospital-a", tmp_path / "hospital-a2"]
    code = "import time; time.sleep(60)"
    clients = [
        subprocess.Popen([sys.executable, "-c", code, "nvflare.private.fed.app.client.client_train", "-m", str(kit)])
        for kit in kits
    ]
    try:
        assert [process.pid for process in processes_of(kits[0])] == [clients[0].pid]
        assert len(processes_of(tmp_path)) == 2
    finally:
        for process in clients:
            process.kill()
            process.wait()
