"""docs/provisioning.md from top to bottom, every command as written, from an empty folder to finished jobs.

Central and distributed: one server, three sites, admins of all roles, over TLS on loopback.
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
from flareseg.poc.processes import end_processes, free_port, processes_of
from flareseg.report import load_record, report_facts
from secure_federation import eventually

GUIDE = REPOSITORY / "docs" / "provisioning.md"
NOT_RUN = "# not run"
LIMIT_SECONDS = 1500

blocks = re.findall(r"^```bash\n(.*?)^```$", GUIDE.read_text(), flags=re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Run:
    """What running the page left behind."""

    room: Path
    output: str
    code: int


def test_only_what_needs_root_or_an_index_is_not_run() -> None:
    needs = re.compile(r"^(sudo|python3 -m pip) ")
    for block in blocks:
        lines = [line for line in block.splitlines() if not line.startswith("#")]
        assert all(bool(needs.match(line)) == block.startswith(NOT_RUN) for line in lines), block
    assert sum(not block.startswith(NOT_RUN) for block in blocks) > 20


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """Run the page in one shell that stops at the first command that fails."""
    folder = tmp_path_factory.mktemp("guide")
    (folder / "home").mkdir()
    script = folder / "guide.sh"
    parts = [block for block in blocks if not block.startswith(NOT_RUN)]
    script.write_text("set -euo pipefail\nset -x\n" + "\n".join(parts))
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("NVFL", "PYTEST"))} | {
        "HOME": str(folder / "home"),
        "PORT": str(free_port()),
        "FLARESEG": str(REPOSITORY),
        "OMP_NUM_THREADS": "1",
        "PYTHONWARNINGS": "ignore",
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]),
    }
    log = folder / "guide.log"
    try:
        with log.open("w") as output:
            done = subprocess.run(
                ["bash", str(script)],
                cwd=folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                timeout=LIMIT_SECONDS,
                start_new_session=True,
                check=False,
            )
        yield Run(folder / "rehearsal", log.read_text(errors="replace"), done.returncode)
    finally:
        end_processes(folder, patience=0)


@pytest.mark.slow
def test_every_command_ended_well(run: Run) -> None:
    assert run.code == 0, run.output[-6000:]


@pytest.mark.slow
@pytest.mark.parametrize(
    "results", ["results", "distributed/kits/flareseg/prod_00/results"], ids=["central", "distributed"]
)
def test_three_sites_finished_a_job(run: Run, results: str) -> None:
    (result,) = (run.room / results).iterdir()
    record = load_record(result)
    assert report_facts(record).status == "complete"
    assert [item.accepted for item in record.rounds] == [["hospital-a", "hospital-b", "hospital-c"]] * 2


@pytest.mark.slow
def test_no_private_key_of_a_site_left_it_in_the_distributed_way(run: Run) -> None:
    place = run.room / "distributed"
    keys = [path.read_bytes() for path in place.glob("requests/*/*.key")]
    assert len(keys) == 8
    sent = [*place.glob("inbox/*"), *place.glob("ca/*")]
    assert sent
    for path in sent:
        unpacked = subprocess.run(["unzip", "-p", str(path)], capture_output=True, check=False).stdout
        assert not [key for key in keys if key in path.read_bytes() + unpacked]


@pytest.mark.slow
def test_the_renewed_certificate_has_the_same_name_and_root(run: Run) -> None:
    kits = run.room / "federation" / "flareseg"
    old, new = (
        x509.load_pem_x509_certificate((kits / prod / "hospital-a/startup/client.crt").read_bytes())
        for prod in ("prod_00", "prod_02")
    )
    assert old.subject == new.subject
    assert old.serial_number != new.serial_number
    assert len({path.read_bytes() for path in kits.glob("prod_*/*/startup/rootCA.pem")}) == 1


@pytest.mark.slow
def test_the_page_leaves_nothing_running(run: Run) -> None:
    eventually(lambda: not processes_of(run.room), "without processes")
