"""No file that came from elsewhere is executed: how the package loads, and what a crafted model file does to it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import flareseg
from flareseg.config.site import load_site
from flareseg.config.task import Task
from flareseg.data.cache import Cache
from flareseg.data.datalist import load_cases
from flareseg.errors import FlaresegError
from flareseg.flare.server.checkpoint import Checkpoint
from flareseg.learning.trained import load_trained
from flareseg.record.model_file import load_model
from planted import goes_off, plant_array, plant_model

PACKAGE = Path(flareseg.__file__).parent
FORBIDDEN_MODULES = {"pickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
FORBIDDEN_CALLS = {
    "eval",
    "exec",
    "__import__",
    "os.system",
    "os.popen",
    "yaml.load",
    "yaml.unsafe_load",
    "yaml.full_load",
}
REQUIRED = {"torch.load": ("weights_only", True), "np.load": ("allow_pickle", False)}


def faults(source: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from FORBIDDEN_MODULES & {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from FORBIDDEN_MODULES & {node.module.partition(".")[0]}
        elif isinstance(node, ast.Call):
            name = ast.unparse(node.func)
            given = {word.arg: word.value for word in node.keywords}
            if name in FORBIDDEN_CALLS:
                yield name
            if name in REQUIRED:
                keyword, wanted = REQUIRED[name]
                value = given.get(keyword)
                if not (isinstance(value, ast.Constant) and value.value is wanted):
                    yield f"{name} without {keyword}={wanted}"
            shell = given.get("shell")
            if shell is not None and not (isinstance(shell, ast.Constant) and shell.value is False):
                yield f"{name} with a shell"


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "from dill import loads",
        "eval('1')",
        "torch.load(f)",
        "torch.load(f, weights_only=False)",
        "np.load(f)",
        "yaml.load(f, Loader=L)",
        "subprocess.run(c, shell=True)",
    ],
)
def test_the_check_finds_what_it_is_for(source: str) -> None:
    assert list(faults(source))


def test_the_package_loads_nothing_that_could_run() -> None:
    paths = list(PACKAGE.rglob("*.py"))
    assert len(paths) > 50
    assert {str(path): found for path in paths if (found := list(faults(path.read_text())))} == {}


@pytest.mark.parametrize("zipped", [True, False], ids=["PyTorch's format", "bare pickle"])
def test_a_crafted_model_is_refused_and_not_run(tmp_path: Path, zipped: bool) -> None:
    path, marker = tmp_path / "best.pt", tmp_path / "marker"
    plant_model(path, marker, zipped=zipped)
    assert goes_off(path, marker)
    for load in (load_model, Checkpoint.read, load_trained):
        with pytest.raises(FlaresegError, match="is not a flareseg model"):
            load(path)
    assert not marker.exists()


def test_a_crafted_cache_is_made_anew_and_not_run(tmp_path: Path, site_file: Path, task: Task) -> None:
    site = load_site(site_file)
    case = load_cases(site.data)["training"][0]
    cache = Cache(tmp_path / "cache", task, site)
    volume = cache.load(case)
    marker = tmp_path / "marker"
    for path in (tmp_path / "cache").glob("*/*.npy"):
        path.unlink()  # the volume still has it mapped
        plant_array(path, marker)
    again = cache.load(case)
    assert (again.image == volume.image).all()
    assert not marker.exists()
