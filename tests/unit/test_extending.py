"""docs/extending.md: the examples are installed as anybody's packages are, and count only where they are allowed."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import torch
import yaml
from typer.testing import CliRunner

from flareseg.cli.main import app
from flareseg.config.extensions import EXTENSIONS_FILE, write_extensions
from flareseg.config.seams import allow_extensions
from flareseg.config.site import load_site
from flareseg.config.task import Task
from flareseg.data.site_data import SiteData
from flareseg.errors import SettingsError
from flareseg.flare.names import job_task
from flareseg.learning.learner import Learner
from flareseg.networks import initial_state
from tiny import TINY_TASK

REPOSITORY = Path(__file__).parents[2]
EXAMPLES = sorted((REPOSITORY / "examples/extensions").iterdir())
NAMES = ("thin", "negative", "generalized_dice", "case_folders")
OURS = {
    "network": {"name": "thin", "width": 4},
    "augmentation": [{"name": "negative"}, {"name": "gin"}],
    "loss": {"name": "generalized_dice", "weight": "simple"},
}


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The examples, installed in a folder of their own."""
    folder = tmp_path_factory.mktemp("extensions")
    sources = [shutil.copytree(path, folder / "source" / path.name) for path in EXAMPLES]
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    done = subprocess.run(
        [*command, "--target", str(folder / "installed"), *map(str, sources)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return folder / "installed"


@pytest.fixture
def installed(packages: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The examples can be imported, and none is allowed."""
    monkeypatch.syspath_prepend(str(packages))
    allow_extensions(())
    yield
    allow_extensions(())


def at_a_site(folder: Path, content: dict[str, Any]) -> Task:
    """The task as a server or site reads it: with the policy of its own ``local`` folder."""
    (folder / "task.yaml").write_text(yaml.safe_dump(content))
    workspace = SimpleNamespace(
        get_app_config_dir=lambda job: str(folder), get_site_config_dir=lambda: str(folder / "local")
    )
    engine = SimpleNamespace(get_workspace=lambda: workspace)
    return job_task(SimpleNamespace(get_engine=lambda: engine, get_job_id=lambda: "job"))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_an_example_is_short(path: Path) -> None:
    files = [file for file in path.rglob("*") if file.suffix in (".py", ".toml")]
    assert 0 < sum(len(file.read_text().splitlines()) for file in files) < 60


@pytest.mark.usefixtures("installed")
def test_a_network_loss_and_augmentation_train_where_they_are_allowed(tmp_path: Path, site_file: Path) -> None:
    (tmp_path / "local").mkdir()
    write_extensions(tmp_path / "local", NAMES)
    task = at_a_site(tmp_path, TINY_TASK | OURS)
    assert task.network.describe() == "thin (width 4)"
    learner = Learner(task, SiteData(task, load_site(site_file), tmp_path / "cache"), "ct-a")
    state = initial_state(task)
    once, again = (learner.train(state, 0) for _ in range(2))
    assert once.loss is not None
    assert all(torch.equal(value, again.update[name]) for name, value in once.update.items())
    assert any(float(value.abs().max()) > 0 for value in once.update.values())
    assert learner.validate(state).loss > 0


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize(
    ("key", "name"), [("network", "thin"), ("augmentation", "negative"), ("loss", "generalized_dice")]
)
@pytest.mark.parametrize("listed", [None, (), ("another",)], ids=["no file", "empty", "another"])
def test_a_job_reaches_nothing_that_is_not_listed(
    tmp_path: Path, key: str, name: str, listed: tuple[str, ...] | None
) -> None:
    sys.modules.pop(f"flareseg_{name}", None)
    (tmp_path / "local").mkdir()
    if listed is not None:
        write_extensions(tmp_path / "local", listed)
    with pytest.raises(
        SettingsError,
        match=rf"'{name}' is an extension, of flareseg[-_]{name.replace('_', '.')}, that is not allowed here",
    ) as caught:
        at_a_site(tmp_path, TINY_TASK | {key: OURS[key]})
    assert "local/extensions.yaml" in str(caught.value)
    assert f"flareseg_{name}" not in sys.modules


@pytest.mark.usefixtures("installed")
def test_a_later_list_counts_and_an_earlier_does_not(tmp_path: Path) -> None:
    (tmp_path / "local").mkdir()
    write_extensions(tmp_path / "local", ("thin",))
    assert at_a_site(tmp_path, TINY_TASK | {"network": "thin"}).network.name == "thin"
    (tmp_path / "local" / EXTENSIONS_FILE).unlink()
    with pytest.raises(SettingsError, match="not allowed here"):
        at_a_site(tmp_path, TINY_TASK | {"network": "thin"})


def test_a_name_that_nothing_offers_is_refused_whatever_is_listed(tmp_path: Path) -> None:
    (tmp_path / "local").mkdir()
    write_extensions(tmp_path / "local", ("os", "monai.networks.nets.UNet", "torch.nn:Linear"))
    for name in ("os", "monai.networks.nets.UNet", "torch.nn:Linear"):
        with pytest.raises(SettingsError, match="there are unet, segresnet"):
            at_a_site(tmp_path, TINY_TASK | {"network": name})
    allow_extensions(())


def test_a_wrong_list_is_named(tmp_path: Path) -> None:
    (tmp_path / "local").mkdir()
    (tmp_path / "local" / EXTENSIONS_FILE).write_text("allow: [thin]")
    with pytest.raises(SettingsError, match=r"extensions\.yaml: allow: unknown key"):
        at_a_site(tmp_path, TINY_TASK)


@pytest.mark.usefixtures("installed")
def test_a_layout_lists_cases_at_the_command_line(tmp_path: Path) -> None:
    label = np.zeros((20, 18, 5), dtype=np.uint8)
    label[3:11, 4:12, 1:4], label[5:7, 6:8, 2] = 1, 2
    for number in range(6):
        folder = tmp_path / "source" / f"p{number}"
        folder.mkdir(parents=True)
        rng = np.random.default_rng(number)
        nib.save(nib.Nifti1Image(rng.normal(0, 9, label.shape).astype(np.int16), np.eye(4)), folder / "image.nii.gz")
        nib.save(nib.Nifti1Image(label, np.eye(4)), folder / "label.nii.gz")
    words = ["data", "prepare", "case_folders", str(tmp_path / "source"), str(tmp_path / "site"), "--modality", "CT"]
    refused = CliRunner().invoke(app, words)
    assert isinstance(refused.exception, SettingsError)
    assert "flareseg --extension NAME" in str(refused.exception)
    done = CliRunner().invoke(app, ["--extension", "case_folders", *words])
    assert done.exit_code == 0, done.output
    assert load_site(tmp_path / "site/site.yaml").labels == {"liver": (1, 2), "lesion": (2,)}


def test_the_label_task_of_the_page_is_one(tmp_path: Path) -> None:
    page = (REPOSITORY / "docs/extending.md").read_text()
    (block,) = re.findall(r"```yaml\n(name: .*?)```", page, re.DOTALL)
    task = Task.model_validate(yaml.safe_load(block))
    assert task.labels == ("left_ventricle", "myocardium", "right_ventricle", "scar")
    assert initial_state(task)


def test_the_page_has_every_seam_and_example() -> None:
    page = (REPOSITORY / "docs/extending.md").read_text()
    for path in EXAMPLES:
        assert f"examples/extensions/{path.name}" in page
