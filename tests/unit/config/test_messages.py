"""Errors of settings speak of the file or option and of what it should hold, not of pydantic's types."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from flareseg.config.settings import load_settings
from flareseg.config.task import Task, load_task
from flareseg.errors import FlaresegError, SettingsError
from flareseg.job.folder import TASK_FILE, stage_job
from flareseg.record.model_file import load_model

JOB = Path(__file__).parents[3] / "jobs" / "fedgin-fedgs"
JARGON = re.compile(r"input|valid (integer|number|string|boolean|dict)|union|Errno|instance of|tag ", re.IGNORECASE)

CHANGES = {
    "training.rounds=many": "expected a whole number, found 'many'",
    "training.rounds=2.5": "expected a whole number",
    "training.rounds=0": "expected at least 1, found 0",
    "optimizer.lr=fast": "expected a number",
    "optimizer.lr=-1": "expected more than 0",
    "training=3": "expected a mapping of keys, found 3",
    "labels=liver": "expected a list",
    "name=[1]": "expected text",
    "modalities={PET: {window: [0, 1]}}": "PET",
    "training.foreground=2": "expected at most 1",
    "gin=null": "gin",
}


@pytest.mark.parametrize("change", CHANGES)
def test_set_names_the_option_and_what_was_expected(tmp_path: Path, change: str) -> None:
    with pytest.raises(SettingsError) as refusal:
        stage_job(JOB, tmp_path / "job", [change])
    message = str(refusal.value)
    assert message.startswith(f"--set {change}: ")
    assert CHANGES[change] in message
    assert "task.yaml" not in message
    assert not JARGON.search(message), message


@pytest.mark.parametrize(
    "content", ["training: [1]", "network: {name: nothing}", "loss: 3", "labels: {a: 1}", "seed: 1"]
)
def test_a_file_s_error_has_no_jargon(tmp_path: Path, content: str) -> None:
    path = tmp_path / "task.yaml"
    key = content.partition(":")[0]
    kept = [line for line in (JOB / TASK_FILE).read_text().splitlines() if not line.startswith(f"{key}:")]
    path.write_text("\n".join([*kept, content]))
    with pytest.raises(SettingsError) as refusal:
        load_task(path)
    assert not JARGON.search(str(refusal.value)), refusal.value


def test_a_folder_in_place_of_a_file(tmp_path: Path) -> None:
    for read in (lambda: load_settings(Task, tmp_path), lambda: load_model(tmp_path)):
        with pytest.raises(FlaresegError, match="Is a directory") as refusal:
            read()
        assert "Errno" not in str(refusal.value)


def test_a_pickle_is_refused_without_advice_to_load_it_unsafely(tmp_path: Path) -> None:
    import torch

    path = tmp_path / "model.pt"
    torch.save({"model": Path("x"), "about": "{}"}, path)
    with pytest.raises(FlaresegError, match="it holds more than weights and plain values") as refusal:
        load_model(path)
    assert "weights_only" not in str(refusal.value)
