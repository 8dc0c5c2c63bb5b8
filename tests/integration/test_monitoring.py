"""What a running federation sends over StatsD holds every metric that the Grafana dashboard asks for."""

from __future__ import annotations

import json
import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml

from federation import REPOSITORY, tiny_changes
from secure_federation import SecureFederation

pytestmark = pytest.mark.slow

FOLDER = REPOSITORY / "provisioning" / "monitoring"
LINE = re.compile(
    r"(?P<name>[A-Za-z_:.][\w:.]*):(?P<value>[-+.\deE]+)\|(?P<kind>[a-z]+)(?:\|#(?P<tags>[^|]*))?(?P<rest>.*)"
)


@contextmanager
def listener() -> Iterator[tuple[int, list[str]]]:
    """A UDP listener on a free port, with the lines that arrived."""
    lines: list[str] = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        server.settimeout(0.5)
        done = threading.Event()

        def listen() -> None:
            while not done.is_set():
                try:
                    lines.extend(server.recv(65536).decode().splitlines())
                except TimeoutError:
                    continue

        thread = threading.Thread(target=listen)
        thread.start()
        try:
            yield server.getsockname()[1], lines
        finally:
            done.set()
            thread.join()


def prometheus_name(name: str) -> str | None:
    """The name that statsd_exporter's regex mappings give; None where they drop it."""
    for mapping in yaml.safe_load((FOLDER / "statsd-mapping.yml").read_text())["mappings"]:
        assert mapping["match_type"] == "regex"
        if found := re.search(mapping["match"], name):
            return None if mapping.get("action") == "drop" else found.expand(mapping["name"].replace("${1}", r"\1"))
    return name


def test_every_metric_of_the_dashboard_is_sent(tmp_path: Path) -> None:
    with listener() as (port, lines):
        federation = SecureFederation(tmp_path / "run", sites=2)
        project = federation.workspace.poc / "project.yml"
        content = yaml.safe_load(project.read_text())
        (builder,) = [item for item in content["builders"] if item["path"].endswith("SitePolicyBuilder")]
        builder["args"]["monitoring"] = f"127.0.0.1:{port}"
        project.write_text(yaml.safe_dump(content))
        try:
            federation.provision()
            federation.start()
            record, _ = federation.run(tiny_changes())
        finally:
            federation.close()
    assert record.status == "complete"
    sent: dict[str, set[str]] = {}
    for line in lines:
        found = LINE.fullmatch(line)
        assert found, line
        name = prometheus_name(found["name"])
        if name is None:
            continue
        assert re.fullmatch(r"nvflare_[a-z_]+_(total|seconds)", name), line
        assert found["rest"] == "", line
        tags = dict(tag.split(":", 1) for tag in (found["tags"] or "").split(","))
        sent.setdefault(name, set()).add(tags["site"])
        assert "case-" not in line
        assert str(tmp_path) not in line
    dashboard = json.loads((FOLDER / "grafana-dashboard.json").read_text())
    queries = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    queries += [item["query"]["query"] for item in dashboard["templating"]["list"] if item["type"] == "query"]
    asked = {name for query in queries for name in re.findall(r"nvflare_\w+", query)}
    assert len(asked) >= 8
    assert asked <= sent.keys(), sorted(asked - sent.keys())
    assert set.union(*sent.values()) == {*federation.site_names, federation.server}
    assert sent["nvflare_task_execution_seconds"] == set(federation.site_names)
