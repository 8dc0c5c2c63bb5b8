"""``flareseg site approve`` and ``flareseg site ledger`` as they are typed."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from typer.testing import CliRunner

from federation import REPOSITORY
from flareseg.cli.main import app
from flareseg.errors import DataError
from flareseg.job.bundle import bundle_job
from flareseg.privacy.ledger import LEDGER_FILE, append
from kit import Authority, write_kit


@pytest.fixture(scope="module")
def kit(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_kit(tmp_path_factory.mktemp("kits") / "hospital-a", Authority())


def test_an_approval_is_told_with_its_consequence(kit: Path, tmp_path: Path) -> None:
    digest = bundle_job(REPOSITORY / "jobs" / "fedavg", tmp_path / "bundle")
    command = ["site", "approve", str(tmp_path / "bundle"), "--kit", str(kit)]
    approval = kit / "local" / "approved_jobs" / f"{digest}.json"
    for answer in ("n\n", ""):
        done = CliRunner().invoke(app, command, input=answer)
        assert done.exit_code == 1
        assert not approval.exists()
    for more, answer in (([], "y\n"), (["--yes"], "")):
        done = CliRunner().invoke(app, [*command, *more], input=answer)
        assert done.exit_code == 0, done.output
        assert approval.is_file()
        assert (tmp_path / "bundle" / "REVIEW.md").read_text() in done.output
        assert "and no other" in done.output
        approval.unlink()


def test_the_ledger_is_summed_up(kit: Path) -> None:
    for job, kind in (("aaaa", "WEIGHT_DIFF"), ("aaaa", "METRICS"), ("bbbb", "METRICS")):
        append(kit / LEDGER_FILE, job=job, task="t", round_number=None, kind=kind, recipient="server", content={})
    done = CliRunner().invoke(app, ["site", "ledger", "--kit", str(kit)])
    assert done.exit_code == 0, done.output
    assert "2 METRICS, 1 WEIGHT_DIFF; 3 lines, all in order." in done.output
    end = hashlib.sha256((kit / LEDGER_FILE).read_bytes().splitlines()[-1]).hexdigest()
    assert f"The chain ends with {end}." in done.output
    done = CliRunner().invoke(app, ["site", "ledger", "--kit", str(kit), "--job", "bb"])
    assert "1 METRICS; 3 lines" in done.output


def test_a_site_without_a_ledger_is_told(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["site", "ledger", "--kit", str(tmp_path)])
    assert isinstance(done.exception, DataError)
