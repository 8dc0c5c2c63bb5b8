"""The result of one run of an experiment, as a small JSON file."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from flareseg.errors import SettingsError
from flareseg.files import json_bytes, write_whole
from flareseg.learning.metrics import CaseScores


class CaseResult(BaseModel):
    """Test Dice of one case; None where there was nothing to score."""

    dice: dict[str, float | None]
    small: float | None
    large: float | None

    @classmethod
    def of(cls, scores: CaseScores) -> CaseResult:
        """Round to six decimals: the file is to be read, and no score is known better."""
        dice = {label: _finite(value) for label, value in scores.dice.items()}
        return cls(dice=dice, small=_finite(scores.small), large=_finite(scores.large))


class CellResult(BaseModel):
    """What one run gave, and what it was.

    Attributes:
        digest: of all settings that decide the result.
        commit: of the checkout, with ``+`` where files differed from it; None without one.
        version: of flareseg, which ends with a digest of its modules.
        phantom: version of the embedded data, None for a folder.
        winner: the kept model that was tested.
        validation: of the winner, mean Dice over the places that trained.
        cases: site to its test cases, in the order of its data.
        seconds: of the whole run.
        processor_seconds: the same, of this process's processor time.
    """

    experiment: str
    data: str
    arm: str
    seed: int
    digest: str
    commit: str | None
    version: str
    packages: dict[str, str]
    phantom: int | None
    status: str
    winner: str | None
    rounds_done: int | None
    validation: float | None
    modalities: dict[str, str]
    organs: list[str]
    lesion: str | None
    cases: dict[str, list[CaseResult]]
    seconds: float
    processor_seconds: float
    task: dict[str, Any]

    def write(self, path: Path) -> None:
        """Write the file, all of it or nothing."""
        write_whole(path, json_bytes(self.model_dump(mode="json")))


def load_cell(path: Path) -> CellResult:
    """Read a result.

    Raises:
        SettingsError: the file is no result of an experiment.
    """
    try:
        return CellResult.model_validate_json(path.read_bytes())
    except (OSError, ValidationError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise SettingsError(f"{path}: is no result of an experiment ({reason}).", "Delete it and run again.") from None


def _finite(value: float) -> float | None:
    return round(value, 6) if math.isfinite(value) else None
