"""The record of a run: who took part in each round, what it scored, what it cost."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel

from flareseg.files import replacing
from flareseg.record.messages import ScoresMessage, SiteError, SiteReport

Status = Literal["running", "complete", "subset", "failed"]


class ModelNote(BaseModel):
    """A kept model: after how many rounds, and what made it worth keeping."""

    rounds_done: int
    score: float | None = None


class RoundRecord(BaseModel):
    """One round. ``absent`` were expected and neither accepted, refused, failed nor late."""

    round: int
    expected: list[str]
    accepted: list[str] = []
    refused: dict[str, str] = {}
    failed: dict[str, SiteError] = {}
    late: list[str] = []
    absent: list[str] = []
    sites: dict[str, SiteReport] = {}
    steps: dict[str, int] = {}
    bytes_sent: int = 0
    bytes_received: int = 0
    seconds: float = 0.0
    overhead_seconds: float | None = None

    @property
    def whole(self) -> bool:
        """Every expected site was accepted."""
        return set(self.accepted) == set(self.expected)


class Evaluation(BaseModel):
    """Scores after training: of each candidate on the validation sets, of the winner on the held-out test sets."""

    expected: list[str] = []
    validation: dict[str, dict[str, ScoresMessage]] = {}
    winner: str | None = None
    testing: dict[str, ScoresMessage] = {}
    failed: dict[str, SiteError] = {}


class RunRecord(BaseModel):
    """The whole run, as ``record.json`` in the job's result.

    A run that was resumed goes through several jobs: ``resumed_from`` names the earlier ones, the first one first.
    """

    job_id: str
    job_name: str
    resumed_from: list[str] = []
    submitter: str = ""
    versions: dict[str, str]
    task: dict[str, Any]
    task_digest: str
    min_clients: int
    started: float
    finished: float | None = None
    status: Status = "running"
    reason: str = ""
    ended_early: str = ""
    modalities: dict[str, str] = {}
    rounds: list[RoundRecord] = []
    models: dict[str, ModelNote] = {}
    evaluation: Evaluation = Evaluation()

    @property
    def run_id(self) -> str:
        """Id of the first job of the run: the same before and after a resume."""
        return [*self.resumed_from, self.job_id][0]

    def write(self, path: Path) -> None:
        """Write the record as JSON, atomically."""
        text = json.dumps(self.model_dump(mode="json"), indent=1)
        with replacing(path) as stream:
            stream.write(text.encode())
