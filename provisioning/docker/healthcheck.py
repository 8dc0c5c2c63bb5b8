"""Health of a container that runs a kit: exit code 0 while a site is connected to its server, or a server listens.

A process that runs is not health: with an old certificate or a wrong server NVFlare tries again for ever.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import psutil

PLACES = (Path.cwd(), Path("/var/tmp/nvflare/workspace"))  # here, or where nvflare deploy prepare mounts the kit


def main() -> str:
    """Say what is wrong; nothing where all is well."""
    for kit in PLACES:
        for name, wanted in (("fed_client.json", psutil.CONN_ESTABLISHED), ("fed_server.json", psutil.CONN_LISTEN)):
            config = kit / "startup" / name
            if config.is_file():
                target = json.loads(config.read_text())["servers"][0]["service"]["target"]
                return "" if has_connection(int(target.rpartition(":")[2]), wanted) else f"no {wanted} to {target}"
    return f"no kit in {' or '.join(map(str, PLACES))}"


def has_connection(port: int, wanted: str) -> bool:
    """Whether a process of this user has a connection to, or listens at, a port."""
    for process in psutil.process_iter(["uids"]):
        if process.info["uids"] is None or process.info["uids"].real != os.getuid():
            continue
        try:
            connections = process.net_connections(kind="tcp")
        except psutil.Error:  # it has ended meanwhile
            continue
        for connection in connections:
            end = connection.laddr if wanted == psutil.CONN_LISTEN else connection.raddr
            if connection.status == wanted and end and end.port == port:
                return True
    return False


if __name__ == "__main__":
    sys.exit(main())
