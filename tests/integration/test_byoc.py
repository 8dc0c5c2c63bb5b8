"""A bundle with ``--byoc`` runs in a federation of plain NVFlare, on machines where flareseg is not installed."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import nvflare
import pytest
import yaml

from federation import REPOSITORY, tiny_changes
from flareseg.job.bundle import bundle_job
from secure_federation import SecureFederation, eventually

pytestmark = pytest.mark.slow
STOCK: dict[str, dict[str, Any]] = {
    "workspace.WorkspaceBuilder": {},
    "static_file.StaticFileBuilder": {"config_folder": "config"},
    "cert.CertBuilder": {},
    "signature.SignatureBuilder": {},
}
"""Builders and arguments as in the project that ``nvflare provision`` makes when it is given none."""


def python_without_flareseg(folder: Path) -> Path:
    """An environment with all installed packages but ours: its folder of commands."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    packages = Path(sysconfig.get_path("purelib", vars={"base": str(folder), "platbase": str(folder)}))
    # A .pth inside a folder that is named by a .pth is not read: the editable install of flareseg stays outside.
    (packages / "installed.pth").write_text(f"{Path(nvflare.__file__).parents[1]}\n")
    return folder / "bin"


@pytest.fixture(scope="module")
def stock(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecureFederation]:
    """A server and a site with kits of NVFlare's own builders, run by a Python without flareseg."""
    folder = tmp_path_factory.mktemp("stock")
    federation = SecureFederation(folder / "run", sites=1)
    place = federation.workspace
    content = place.project
    content["builders"] = [{"path": f"nvflare.lighter.impl.{name}", "args": args} for name, args in STOCK.items()]
    (place.poc / "project.yml").write_text(yaml.safe_dump(content, sort_keys=False))
    commands = python_without_flareseg(folder / "python")
    place.environment["PATH"] = os.pathsep.join([str(commands), place.environment["PATH"]])
    found = subprocess.run(
        [commands / "python3", "-c", "import nvflare, monai; import flareseg"],
        env=place.environment,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    assert "No module named 'flareseg'" in found.stderr
    try:
        federation.provision()
        privacy = {"scopes": [{"name": "open", "properties": {}}], "default_scope": "open"}
        for name in (federation.server, *federation.site_names):
            (federation.kit(name) / "local/privacy.json").write_text(json.dumps(privacy))
            resources = federation.kit(name) / "local/resources.json.default"
            resources.write_text(resources.read_text().replace("/tmp/nvflare", str(folder / "stores")))
        federation.start()
        yield federation
    finally:
        federation.close()


def test_a_byoc_bundle_runs_where_flareseg_is_not_installed(stock: SecureFederation, tmp_path: Path) -> None:
    job = tmp_path / "byoc"
    bundle_job(REPOSITORY / "jobs/fedgin-fedgs", job, tiny_changes(rounds=1), byoc=True)
    meta = json.loads((job / "meta.json").read_text())
    (job / "meta.json").write_text(json.dumps(meta | {"min_clients": 1}))
    with stock.session("lead") as session, redirect_stdout(io.StringIO()):
        job_id = session.submit_job(str(job))
        eventually(lambda: str(session.get_job_status(job_id)).startswith("FINISHED"), f"finished: {job_id}")
        status = session.get_job_status(job_id)
        result = Path(session.download_job_result(job_id, str(tmp_path)))
    assert status == "FINISHED:COMPLETED", stock.site_log(stock.site_names[0])
    record = json.loads((result / "workspace/flareseg/record.json").read_text())
    assert record["status"] == "complete"
    ran = stock.kit(stock.site_names[0]) / job_id
    assert (next(ran.glob("app_*")) / "custom/flareseg/flare/site/executor.py").is_file()
