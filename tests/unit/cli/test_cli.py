from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from command_line import flareseg
from flareseg.cli.commands import COMMANDS
from flareseg.cli.main import app
from flareseg.report.comparison import Comparison, Row

JOBS = Path(__file__).parents[3] / "jobs"


@pytest.fixture(autouse=True)
def empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["poc", "run", "nowhere"], "nowhere: no such job folder"),
        (["poc", "run", str(JOBS / "fedavg"), "--set", "training.round=3"], "training.round: unknown key"),
        (["poc", "run", str(JOBS / "fedavg"), "--data", "empty"], "no <site>/site.yaml"),
        (["poc", "submit", str(JOBS / "fedavg")], "no federation runs here"),
        (["job", "resume", "11111111-1111-4111-8111-111111111111", "--kit", "nowhere"], "no admin's startup kit"),
        (["poc", "resume", "11111111-1111-4111-8111-111111111111"], "no federation runs here"),
        (["poc", "run", "fedavg", "--workspace", "my poc"], "NVFlare's scripts break at blanks"),
        (["poc", "start", "--workspace", "my'poc"], "NVFlare's scripts break at blanks"),
        (["report", "nowhere"], "nowhere: no such folder"),
        (["compare", str(JOBS / "fedavg"), "--seeds", "a"], "expected whole numbers"),
        (["compare", str(JOBS / "fedavg"), str(JOBS / "fedavg")], "distinct names"),
    ],
    ids=lambda value: " ".join(Path(part).name for part in value) if isinstance(value, list) else "",
)
def test_wrong_input_is_one_message_and_exit_code_2(arguments: list[str], words: str) -> None:
    done = flareseg(*arguments)
    assert done.returncode == 2, done.stderr
    assert words in done.stderr
    assert "Traceback" not in done.stdout + done.stderr


def test_settings_lists_every_key_with_a_meaning() -> None:
    done = flareseg("settings", "task")
    assert done.returncode == 0
    for key in ("fedgs.targets.<name>.threshold", "training.steps", "augmentation[].mixing"):
        assert key in done.stdout


def test_help_is_there_at_once_and_every_command_has_its_own() -> None:
    command = [Path(sys.executable).parent / "flareseg", "--help"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0
    assert all(name in done.stdout for name in COMMANDS)
    code = "import sys, flareseg.cli.main; sys.exit('torch' in sys.modules or 'nvflare' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
    runner = CliRunner()
    for name in COMMANDS:
        shown = runner.invoke(app, [name, "--help"])
        assert shown.exit_code == 0, name
        assert f"flareseg {name}" in shown.output


def test_comparison_takes_differences_seed_by_seed(tmp_path: Path) -> None:
    row = Row(modality="MR", score="dice", values={"a": [0.3, 0.5, None], "b": [0.4, 0.7, 0.9]})
    assert row.mean("a") == pytest.approx(0.4)
    gain = row.difference("b", "a")
    assert gain is not None
    assert gain[0] == pytest.approx(0.15)
    status = {"a": ["complete"] * 3, "b": ["complete", "subset", "complete"]}
    comparison = Comparison(jobs=["a", "b"], seeds=[0, 1, 2], status=status, rows=[row])
    assert comparison.table().row_count == 1
    page = comparison.write(tmp_path).read_text()
    for words in ("0.400 ± 0.141 (n = 2)", "+0.150 ± 0.071", "<strong>b</strong> was not complete", "MR, organs"):
        assert words in page
    assert page.count("<svg") == 1
    assert "http" not in page
