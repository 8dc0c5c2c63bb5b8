"""Parts of installed packages in a federation of real processes, where each kit lists them and where one does not."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator

import pytest

from federation import PROJECT, REPOSITORY, Federation, tiny_changes, tiny_sites
from flareseg.config.extensions import EXTENSIONS_FILE, write_extensions
from flareseg.config.seams import allow_extensions
from flareseg.poc.run import Plan, start_federation
from flareseg.poc.workspace import PocWorkspace

pytestmark = [pytest.mark.integration, pytest.mark.slow]

NAMES = ("negative", "generalized_dice", "thin")
CHANGES = [
    *(change for change in tiny_changes(rounds=1, steps=2) if not change.startswith(("network=", "augmentation="))),
    "network={name: thin, width: 4}",
    "loss=generalized_dice",
    "augmentation=[negative, gin]",
]


@pytest.fixture(scope="module")
def extended(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Federation]:
    """A federation of machines on which the examples are installed, allowed as with ``flareseg --extension``."""
    folder = tmp_path_factory.mktemp("extended")
    examples = [path for path in (REPOSITORY / "examples/extensions").iterdir() if path.name != "layout"]
    sources = [str(shutil.copytree(path, folder / "source" / path.name)) for path in examples]
    options = ["--quiet", "--no-deps", "--no-build-isolation", "--no-index", "--target", str(folder / "installed")]
    subprocess.run([sys.executable, "-m", "pip", "install", *options, *sources], check=True)
    workspace = PocWorkspace(folder / "run")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join([str(folder / "installed"), os.environ.get("PYTHONPATH", "")]))
        patch.syspath_prepend(str(folder / "installed"))
        allow_extensions(NAMES)
        try:
            sites = tiny_sites(folder / "sites")
            start_federation(workspace, Plan(PROJECT, sites), lambda message: None)
            yield Federation(workspace, sites)
        finally:
            workspace.stop()
            allow_extensions(())


def test_a_federation_trains_with_them_where_every_kit_lists_them(extended: Federation) -> None:
    for kit in ("localhost", "ct-a", "ct-b", "mr-a"):
        assert "thin" in (extended.workspace.kits / kit / "local" / EXTENSIONS_FILE).read_text()
    record, _ = extended.run(CHANGES)
    assert record.status == "complete", record.reason
    assert record.task["network"] == {"name": "thin", "width": 4}
    assert record.rounds[0].accepted == ["ct-a", "ct-b", "mr-a"]


def test_a_site_that_lists_none_refuses_by_name(extended: Federation) -> None:
    write_extensions(extended.workspace.kits / "mr-a" / "local", ())
    record, _ = extended.run(CHANGES)
    assert "mr-a" not in record.rounds[0].accepted
    log = extended.site_log("mr-a")
    assert "is an extension, of flareseg" in log
    assert "local/extensions.yaml" in log
