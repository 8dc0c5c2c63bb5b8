"""The version tells builds apart, and is the same wherever the same modules are."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from packaging.version import Version

import flareseg
from flareseg.job.bundle import bundle_job
from flareseg.version import RELEASE, source_digest

PACKAGE = Path(flareseg.__file__).parent
JOBS = Path(__file__).parents[2] / "jobs"


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The package as a tree of sources without git."""
    return Path(shutil.copytree(PACKAGE, tmp_path / "flareseg", ignore=shutil.ignore_patterns("__pycache__")))


def version_in(folder: Path) -> str:
    code = "import flareseg; print(flareseg.__version__)"
    environment = os.environ | {"PYTHONPATH": str(folder)}
    return subprocess.run(
        [sys.executable, "-c", code], env=environment, cwd=folder, capture_output=True, text=True, check=True
    ).stdout.strip()


def test_it_is_a_version_as_packaging_writes_it() -> None:
    assert str(Version(flareseg.__version__)) == flareseg.__version__
    assert Version(flareseg.__version__).public == RELEASE


def test_the_same_modules_have_the_same_version_without_git_or_installation(copy: Path) -> None:
    assert version_in(copy.parent) == flareseg.__version__


def test_a_job_that_carries_the_package_has_its_version(tmp_path: Path) -> None:
    bundle_job(JOBS / "fedavg", tmp_path / "job", byoc=True)
    assert version_in(tmp_path / "job/app/custom") == flareseg.__version__


@pytest.mark.parametrize("change", ["edited", "added", "removed", "renamed"])
def test_any_other_build_has_another(copy: Path, change: str) -> None:
    module = copy / "fedgs" / "scale.py"
    if change == "edited":
        module.write_text(module.read_text() + "\n")
    elif change == "added":
        (copy / "fedgs" / "more.py").touch()
    elif change == "removed":
        module.unlink()
    else:
        module.rename(module.with_name("factor.py"))
    assert source_digest(copy) != source_digest(PACKAGE)
    assert version_in(copy.parent) != flareseg.__version__


def test_what_runs_not_as_flareseg_s_modules_does_not_count(copy: Path) -> None:
    for name in ("share/provisioning/docker/healthcheck.py", "report/note.txt", "fedgs/__pycache__/scale.cpython.pyc"):
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        (copy / name).touch()
    assert source_digest(copy) == source_digest(PACKAGE)
