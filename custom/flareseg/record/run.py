"""The record of a run: who took part in each round, what it scored, what it cost."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel

from flareseg.files import replacing
from flareseg.record.messages import RoundReport, ScoresMessage, SiteError
from flareseg.record.warnings import unimproved, warnings_of

RunStatus = Literal["running", "complete", "subset", "unimproved", "failed"]
"""``unimproved``: all went well, and the winner is the model that training began with."""


class ModelNote(BaseModel):
    """A kept model: after how many rounds, and what made it worth keeping.

    Attributes:
        rounds_done: 0 for the model that training began with.
        score: mean Dice over sites.
        sites: the Dice of each, which the next model is compared with.
    """

    rounds_done: int
    score: float | None = None
    sites: dict[str, float] = {}


class UpdateNotes(BaseModel):
    """What the aggregator noticed of a round's updates.

    Attributes:
        clipped: sites whose update was scaled down.
        cosines: site to the cosine between its update and the sum of the others'.
    """

    clipped: list[str] = []
    cosines: dict[str, float] = {}


class RoundRecord(BaseModel):
    """One round.

    ``absent`` were expected and neither accepted, refused, failed nor late; ``cut_off`` were at work when the job ended
    in the middle of the round.
    """

    round: int
    expected: list[str]
    accepted: list[str] = []
    refused: dict[str, str] = {}
    failed: dict[str, SiteError] = {}
    late: list[str] = []
    absent: list[str] = []
    cut_off: list[str] = []
    sites: dict[str, RoundReport] = {}
    steps: dict[str, int] = {}
    updates: UpdateNotes = UpdateNotes()
    bytes_sent: int = 0
    bytes_received: int = 0
    seconds: float = 0.0
    overhead_seconds: float | None = None

    @property
    def whole(self) -> bool:
        """Every expected site was accepted."""
        return set(self.accepted) == set(self.expected)

    def note_absent(self) -> None:
        """Call absent who was expected and not heard of."""
        self.absent = sorted(self._unheard() - set(self.cut_off))

    def note_cut_off(self, connected: set[str]) -> None:
        """Say who was still at work when the job ended in the middle of this round."""
        self.cut_off = sorted({*self.cut_off, *(self._unheard() & connected)})

    def _unheard(self) -> set[str]:
        return set(self.expected) - {*self.accepted, *self.refused, *self.failed, *self.late}

    def note_late(self, site: str) -> None:
        """Call late an expected site that was not accepted, however often it is said."""
        if site in {*self.absent, *self.expected} - {*self.accepted}:
            self.late = sorted({*self.late, site})
            self.absent = [name for name in self.absent if name != site]

    def close(self, seconds: float) -> None:
        """End the round after so many seconds."""
        self.note_absent()
        self.seconds = seconds
        longest = max((report.seconds for report in self.sites.values()), default=None)
        self.overhead_seconds = None if longest is None else seconds - longest

    def missing(self) -> str:
        """Why each expected site that was not accepted is missing; empty where all were accepted."""
        self.note_absent()
        reasons = {site: f"refused: {why}" for site, why in self.refused.items()}
        reasons |= {site: f"failed: {error.code}" for site, error in self.failed.items()}
        reasons |= dict.fromkeys(self.late, "late") | dict.fromkeys(self.absent, "absent")
        reasons |= dict.fromkeys(self.cut_off, "still at work")
        return "; ".join(f"{site} {reasons[site]}" for site in sorted(reasons))


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
    ``refused_messages``: what the trust boundary refused while this job ran, by sender (docs/security.md).
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
    status: RunStatus = "running"
    reason: str = ""
    ended_early: str = ""
    warnings: list[str] = []
    modalities: dict[str, str] = {}
    rounds: list[RoundRecord] = []
    models: dict[str, ModelNote] = {}
    evaluation: Evaluation = Evaluation()
    refused_messages: dict[str, list[str]] = {}

    @property
    def run_id(self) -> str:
        """Id of the first job of the run: the same before and after a resume."""
        return [*self.resumed_from, self.job_id][0]

    def fail(self, reason: str, connected: set[str]) -> None:
        """Note why the run stops, and which sites were connected then; the first reason counts."""
        if not self.reason:
            missing = ""
            if self.rounds and not self.rounds[-1].seconds:
                self.rounds[-1].note_cut_off(connected)
                missing = self.rounds[-1].missing()
            self.reason = f"{reason} (missing: {missing})" if missing else reason

    def finish(self, now: float, connected: set[str]) -> None:
        """End the run at a time, with some sites connected: say how complete it is."""
        self.finished = now
        if self.rounds and not self.rounds[-1].seconds:
            if not self.reason:
                self.rounds[-1].note_cut_off(connected)
            self.rounds[-1].note_absent()
        done = sum(1 for item in self.rounds if item.seconds)
        everyone = set(self.evaluation.expected)
        evaluated = self.evaluation.winner is not None and self.evaluation.testing
        short = done < self.task["training"]["rounds"] and not self.ended_early
        whole = all(item.whole for item in self.rounds) and set(self.evaluation.testing) == everyone
        if self.reason or short or not evaluated:
            self.status = "failed"
            self.reason = self.reason or f"the job was stopped after {done} rounds"
        else:
            self.status = "complete" if whole and not self.ended_early else "subset"
            if unimproved(self):
                self.status = "unimproved"
        self.warnings = warnings_of(self)

    def progress(self, now: float) -> dict[str, Any]:
        """What to show while the job runs: the state and the last two rounds."""
        return {
            "status": self.status,
            "rounds_total": self.task["training"]["rounds"],
            "rounds_done": sum(1 for item in self.rounds if item.seconds),
            "elapsed_seconds": now - self.started,
            "evaluating": sorted(self.evaluation.validation),
            "winner": self.evaluation.winner,
            "rounds": [item.model_dump(mode="json") for item in self.rounds[-2:]],
        }

    def write(self, path: Path) -> None:
        """Write the record as JSON, atomically."""
        text = json.dumps(self.model_dump(mode="json"), indent=1)
        with replacing(path) as stream:
            stream.write(text.encode())
