"""Fixtures for all tests."""

from __future__ import annotations

import signal
from collections.abc import Generator
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import torch

from flareseg.config.task import Task
from shared_cases import Generate, generator
from tiny import TINY_TASK, write_tiny_site

INTEGRATION = Path(__file__).parent / "integration"
FEDERATIONS = ("federation", "secure", "ward")


@pytest.hookimpl(tryfirst=True)  # before pytest-xdist looks for the marks
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Deal the tests out to pytest-xdist's processes by file, and those that share a federation to one of them.

    Integration tests come first: their processes take the longest, and wait while other tests compute.
    """
    for item in items:
        shared = [name for name in FEDERATIONS if name in getattr(item, "fixturenames", ())]
        item.add_marker(pytest.mark.xdist_group(shared[0] if shared else str(item.path)))
        if INTEGRATION in item.path.parents:
            item.add_marker(pytest.mark.integration)
    items.sort(key=lambda item: INTEGRATION not in item.path.parents)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Let a report travel to pytest-xdist's main process: what was logged may hold a file's name that is no UTF-8."""
    report = yield
    report.sections = [(name, text.encode(errors="backslashreplace").decode()) for name, text in report.sections]
    return report


@pytest.fixture(scope="session", autouse=True)
def interruptible() -> None:
    """Let the commands that tests start be interrupted, also where these tests run in a shell's background.

    A shell starts what runs in its background with SIGINT ignored, ``nohup`` with SIGHUP, and every child
    inherits that.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    """Keep timings and bits the same whatever else runs on the machine."""
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def shared_dir() -> Path:
    """The folder with golden vectors and real images beside the repository; skips if it is missing."""
    folder = Path(__file__).parents[2] / "shared"
    if not folder.is_dir():
        pytest.skip(f"needs the shared data beside the repository: {folder}")
    return folder


@pytest.fixture
def generate(shared_dir: Path, tmp_path: Path) -> Generate:
    """Runs a generator of ``../shared/cases`` by its number."""
    return generator(shared_dir / "cases", tmp_path / "made")


@pytest.fixture
def task_content() -> dict[str, Any]:
    """A copy of the small task.yaml, to be changed."""
    return deepcopy(TINY_TASK)


@pytest.fixture
def task(task_content: dict[str, Any]) -> Task:
    """The small task."""
    return Task.model_validate(task_content)


@pytest.fixture
def site_file(tmp_path: Path) -> Path:
    """A small CT site."""
    return write_tiny_site(tmp_path / "site")
