"""Kits with keys for homomorphic encryption: each site's own filters encrypt, and the server gets no secret key."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import tenseal
import yaml

from federation import REPOSITORY


@pytest.fixture(scope="module")
def kits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Kits of provisioning/project.yml with the builder that stands there as a comment."""
    folder = tmp_path_factory.mktemp("provision")
    lines = (REPOSITORY / "provisioning/project.yml").read_text().splitlines()
    start = next(index for index, line in enumerate(lines) if "HEBuilder" in line)
    for index in (start, start + 1):
        lines[index] = lines[index].replace("# ", "", 1)
    project = folder / "project.yml"
    project.write_text("\n".join(lines))
    assert "HEBuilder" in str(yaml.safe_load(project.read_text())["builders"])
    subprocess.run(
        [sys.executable, "-m", "nvflare.cli", "provision", "--force", "-p", str(project), "-w", str(folder)],
        env=os.environ | {"HOME": str(folder)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=True,
    )
    return folder / "flareseg" / "prod_00"


def scope(kit: Path) -> dict[str, Any]:
    (found,) = [
        item for item in json.loads((kit / "local/privacy.json").read_text())["scopes"] if item["name"] == "encrypted"
    ]
    return dict(found)


def test_a_site_s_own_scope_encrypts_what_leaves_it(kits: Path) -> None:
    found = scope(kits / "hospital-a")
    assert [item["path"].rpartition(".")[2] for item in found["task_result_filters"]] == ["HEModelEncryptor"]
    assert [item["path"].rpartition(".")[2] for item in found["task_data_filters"]] == ["HEModelDecryptor"]
    assert scope(kits / "flareseg.example.org") == {"name": "encrypted", "properties": {}}


def test_keys_lie_where_they_belong_and_are_signed(kits: Path) -> None:
    site = kits / "hospital-a" / "startup"
    server = kits / "flareseg.example.org" / "startup"
    assert tenseal.context_from((site / "client_context.tenseal").read_bytes()).has_secret_key()
    assert not tenseal.context_from((server / "server_context.tenseal").read_bytes()).has_secret_key()
    assert "client_context.tenseal" in json.loads((site / "signature.json").read_text())
    holders = {path.parts[-3] for path in kits.rglob("client_context.tenseal")}
    assert holders == {path.name for path in kits.glob("hospital-?")}
