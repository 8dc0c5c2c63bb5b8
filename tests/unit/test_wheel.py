"""The wheel, which is the first of a site's three commands: what docs/provisioning.md says to build, and to install."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from flareseg import __version__

REPOSITORY = Path(__file__).parents[2]
SOURCES = ("pyproject.toml", "setup.py", "README.md", "LICENSE")
SHIPPED = ("jobs", "poc", "provisioning")


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from the files of the checkout and installed in a folder of its own, without an index."""
    folder = tmp_path_factory.mktemp("wheel")
    source, target = folder / "source", folder / "target"
    shutil.copytree(
        REPOSITORY / "custom", source / "custom", ignore=shutil.ignore_patterns("*.egg-info", "__pycache__")
    )
    for name in SOURCES:
        shutil.copy(REPOSITORY / name, source)
    for name in SHIPPED:
        shutil.copytree(REPOSITORY / name, source / name)

    def pip(*arguments: str | Path) -> None:
        command = [sys.executable, "-m", "pip", "--disable-pip-version-check", *map(str, arguments)]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr

    pip("wheel", "--no-deps", "--no-build-isolation", "--no-index", "--wheel-dir", folder / "dist", source)
    pip("install", "--no-deps", "--no-index", "--target", target, next((folder / "dist").iterdir()))
    return target


def files(root: Path) -> set[Path]:
    return {path.relative_to(root) for path in root.rglob("*") if path.is_file() and path.suffix != ".pyc"}


@pytest.mark.slow
def test_its_name_is_the_one_that_kits_and_site_check_name(installed: Path) -> None:
    assert [path.name for path in (installed.parent / "dist").iterdir()] == [f"flareseg-{__version__}-py3-none-any.whl"]


@pytest.mark.slow
def test_it_holds_every_file_of_the_package(installed: Path) -> None:
    """Templates of pages, what the builders put into kits, the mark of typed code."""
    theirs, ours = files(installed / "flareseg"), files(REPOSITORY / "custom/flareseg")
    assert Path("flare/provision/kit_files/README.md.j2") in theirs
    assert {path for path in theirs if path.parts[0] != "share"} == ours


@pytest.mark.slow
def test_it_holds_the_folders_that_lie_beside_the_package(installed: Path) -> None:
    for name in SHIPPED:
        assert files(installed / "flareseg/share" / name) == files(REPOSITORY / name)


@pytest.mark.slow
def test_its_command_runs_from_there(installed: Path, tmp_path: Path) -> None:
    environment = os.environ | {"PYTHONPATH": str(installed)}
    done = subprocess.run(
        [sys.executable, "-c", "import flareseg; print(flareseg.__file__)"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert Path(done.stdout.strip()).is_relative_to(installed)
    done = subprocess.run(
        [installed / "bin/flareseg", "settings", "site"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "modality" in done.stdout
