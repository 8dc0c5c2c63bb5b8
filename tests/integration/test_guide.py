"""docs/provisioning.md, every command as written, from an empty folder to a finished job and its later life.

Central and distributed, each: one server, three sites, admins of all roles, over TLS on loopback.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography import x509

from federation import REPOSITORY
from flareseg.processes import end_processes, free_port, processes_of
from flareseg.report import load_record, report_facts
from secure_federation import eventually

GUIDE = REPOSITORY / "docs" / "provisioning.md"
NOT_RUN = "# not run"
LIMIT_SECONDS = 1200

chapters = {
    title: re.findall(r"^```bash\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)
    for title, _, text in (part.partition("\n") for part in GUIDE.read_text().split("\n## "))
}
WAYS = {"central": ("Central", "What comes later"), "distributed": ("Distributed",)}


@dataclass(frozen=True)
class Run:
    """What running the page left behind."""

    room: Path
    output: str
    code: int


def test_only_what_needs_root_or_an_index_is_not_run() -> None:
    needs = re.compile(r"^(sudo|python3 -m pip) ")
    blocks = [block for chapter in chapters.values() for block in chapter]
    for block in blocks:
        lines = [line for line in block.splitlines() if not line.startswith("#")]
        assert all(bool(needs.match(line)) == block.startswith(NOT_RUN) for line in lines), block
    assert sum(not block.startswith(NOT_RUN) for block in blocks) > 20


def _run(folder: Path, way: str) -> Run:
    """Run a way's chapters in one shell that stops at the first command that fails."""
    (folder / "home").mkdir()
    parts = [block for title in ("Before you start", *WAYS[way]) for block in chapters[title]]
    script, log = folder / "guide.sh", folder / "guide.log"
    script.write_text("set -euxo pipefail\n" + "\n".join(part for part in parts if not part.startswith(NOT_RUN)))
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("NVFL", "PYTEST"))} | {
        "HOME": str(folder / "home"),
        "PORT": str(free_port()),
        "FLARESEG": str(REPOSITORY),
        "OMP_NUM_THREADS": "1",
        "PYTHONWARNINGS": "ignore",
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]),
    }
    with log.open("w") as output:
        process = subprocess.Popen(
            ["bash", str(script)],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            process.wait(LIMIT_SECONDS)
        finally:
            process.kill()
    return Run(folder / "rehearsal", log.read_text(errors="replace"), process.wait())


@pytest.fixture(scope="module")
def central(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """Central provisioning and what comes later."""
    folder = tmp_path_factory.mktemp("central")
    try:
        yield _run(folder, "central")
    finally:
        end_processes(folder, patience=0)


@pytest.fixture(scope="module")
def distributed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """Distributed provisioning."""
    folder = tmp_path_factory.mktemp("distributed")
    try:
        yield _run(folder, "distributed")
    finally:
        end_processes(folder, patience=0)


def _finished_a_job(run: Run, place: str) -> None:
    assert run.code == 0, run.output[-6000:]
    (result,) = (run.room / place / "results").iterdir()
    record = load_record(result)
    assert report_facts(record).status == "complete"
    assert [item.accepted for item in record.rounds] == [["hospital-a", "hospital-b", "hospital-c"]] * 2
    eventually(lambda: not processes_of(run.room), "without processes: the page ends what it starts")


@pytest.mark.slow
def test_central_every_command_ends_well_and_three_sites_finish_a_job(central: Run) -> None:
    _finished_a_job(central, ".")


@pytest.mark.slow
def test_distributed_every_command_ends_well_and_three_sites_finish_a_job(distributed: Run) -> None:
    _finished_a_job(distributed, "distributed/kits/flareseg/prod_00")


@pytest.mark.slow
def test_no_private_key_of_a_site_left_it_in_the_distributed_way(distributed: Run) -> None:
    place = distributed.room / "distributed"
    keys = [path.read_bytes() for path in place.glob("requests/*/*.key")]
    assert len(keys) == 8
    sent = [*place.glob("inbox/*"), *place.glob("ca/*")]
    assert sent
    for path in sent:
        unpacked = subprocess.run(["unzip", "-p", str(path)], capture_output=True, check=False).stdout
        assert not [key for key in keys if key in path.read_bytes() + unpacked]


@pytest.mark.slow
def test_the_renewed_certificate_has_the_same_name_and_root(central: Run) -> None:
    kits = central.room / "federation" / "flareseg"
    old, new = (
        x509.load_pem_x509_certificate((kits / prod / "hospital-a/startup/client.crt").read_bytes())
        for prod in ("prod_00", "prod_02")
    )
    assert old.subject == new.subject
    assert old.serial_number != new.serial_number
    assert len({path.read_bytes() for path in kits.glob("prod_*/*/startup/rootCA.pem")}) == 1
