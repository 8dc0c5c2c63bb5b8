"""The processes and ports of one POC workspace, and of no other."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

_DEFAULT_PORTS = (8002, 8003)
_MODULES = ("nvflare.private.",)
_SCRIPTS = ("/startup/start.sh", "/startup/sub_start.sh")


def processes_of(workspace: Path) -> list[psutil.Process]:
    """NVFlare's processes of a workspace: servers, clients, job processes and the scripts that start them."""
    root = str(workspace.resolve())  # of one kit, its server or client names no more than this
    below = f"{root}{os.sep}"
    found = []
    for process in psutil.process_iter(["cmdline"]):
        command = process.info["cmdline"] or []
        ours = any(part == root or below in part for part in command)
        if ours and any(part.startswith(_MODULES) or part.endswith(_SCRIPTS) for part in command):
            found.append(process)
    return found


def scripts_take(path: Path) -> bool:
    """Whether NVFlare's scripts and launchers, which split at blanks and read quotes, keep a path whole."""
    return not any(sign.isspace() or sign in "\"'\\*?[" for sign in str(path))


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Hold off Ctrl-C, SIGTERM and SIGHUP, so that a second one does not leave processes behind."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    signals = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = [signal.signal(number, signal.SIG_IGN) for number in signals]
    try:
        yield
    finally:
        for number, handler in zip(signals, before, strict=True):
            signal.signal(number, handler)


def end_processes(workspace: Path, patience: float = 10.0) -> list[int]:
    """End what is left of a workspace: wait, then terminate, then kill.

    Args:
        workspace: the POC workspace.
        patience: seconds to wait before terminating.

    Returns:
        Process ids that had to be terminated.
    """
    deadline = time.monotonic() + patience
    while (left := processes_of(workspace)) and time.monotonic() < deadline:
        time.sleep(0.2)
    # sub_start.sh restarts what it watches: it goes first
    left.sort(key=lambda process: "sub_start.sh" not in " ".join(_command(process)))
    for process in left:
        _quietly(process.terminate)
    _, stubborn = psutil.wait_procs(left, timeout=5)
    for process in stubborn:
        _quietly(process.kill)
    psutil.wait_procs(stubborn, timeout=5)
    return [process.pid for process in left]


def _command(process: psutil.Process) -> list[str]:
    try:
        return list(process.cmdline())
    except psutil.Error:
        return []


def _quietly(action: object) -> None:
    try:
        action()  # type: ignore[operator]
    except psutil.NoSuchProcess:
        return


def port_is_free(port: int) -> bool:
    """Whether a server could listen on the port of this machine."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("", port))
        except OSError:
            return False
    return True


def port_answers(port: int) -> bool:
    """Whether somebody accepts connections on the port of this machine."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.settimeout(2)
        return probe.connect_ex(("localhost", port)) == 0


def port_owner(port: int) -> str:
    """Who listens on a port, as ``name (pid N)``; ``another process`` where the system does not tell."""
    try:
        for connection in psutil.net_connections("tcp"):
            listens = connection.status == psutil.CONN_LISTEN and connection.laddr
            if listens and listens.port == port and connection.pid:
                return f"{psutil.Process(connection.pid).name()} (pid {connection.pid})"
    except psutil.Error:
        pass
    return "another process"


def choose_ports() -> tuple[tuple[int, int], list[str]]:
    """Choose the server's two ports: NVFlare's own where they are free, others where not.

    Returns:
        The ports for training and for admins, and what to tell the user.
    """
    ports, messages = [], []
    for wanted in _DEFAULT_PORTS:
        port = wanted if port_is_free(wanted) else free_port()
        if port != wanted:
            messages.append(f"Port {wanted} is used by {port_owner(wanted)}; using {port} instead.")
        ports.append(port)
    return (ports[0], ports[1]), messages


def free_port() -> int:
    """A port that nothing listens on now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind(("", 0))
        return int(probe.getsockname()[1])
