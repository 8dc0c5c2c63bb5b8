"""The form of a run's facts: what ``report.json`` holds and ``report.html`` shows."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel

from flareseg.report.participation import Participation, Shortfall
from flareseg.report.scores import ScoreRow


class WorstSite(BaseModel):
    """The site with the lowest mean Dice over the organs on its test set."""

    site: str
    dice: float


class RoundFacts(BaseModel):
    """One round; ``executor_seconds`` is the longest time a site's executor took."""

    round: int
    expected: list[str]
    accepted: list[str]
    refused: dict[str, str]
    failed: dict[str, str]
    late: list[str]
    absent: list[str]
    states: dict[str, Participation]
    closed: bool
    seconds: float
    executor_seconds: float | None
    overhead_seconds: float | None
    bytes_sent: int
    bytes_received: int


class ScorePoint(BaseModel):
    """Validation scores of the global model after ``rounds_done`` rounds, at one site."""

    rounds_done: int
    dice: dict[str, float | None]
    small: float | None
    large: float | None
    loss: float | None


class TrainingPoint(BaseModel):
    """What a site's training reported in one round."""

    round: int
    loss: float | None
    mean_scale: float | None


class SiteCurves(BaseModel):
    """One site over the rounds; the last score is that of the last aggregate."""

    scores: list[ScorePoint]
    training: list[TrainingPoint]


class ModelFacts(BaseModel):
    """A kept model; ``validation`` is the mean Dice over all labels at each site, ``mean`` that over the sites."""

    name: str
    rounds_done: int | None
    score: float | None
    validation: dict[str, float | None]
    mean: float | None
    winner: bool


class ModelFile(BaseModel):
    """The file of the winner, as it lay on this machine when the report was written."""

    path: str
    sha256: str


class ReportFacts(BaseModel):
    """All that the report says. ``dice`` and its kin map a modality to a mean of the winner on the test sets."""

    status: Literal["complete", "subset", "unimproved", "failed"]
    reason: str
    warnings: list[str] = []
    job_id: str
    resumed_from: list[str] = []
    job_name: str
    dice: dict[str, float | None]
    lesion_dice: dict[str, float | None]
    small_dice: dict[str, float | None]
    large_dice: dict[str, float | None]
    worst_site: WorstSite | None
    round_overhead_seconds: float | None
    winner: str | None
    choice: str = ""
    model_file: ModelFile | None = None
    task_name: str
    labels: list[str]
    organs: list[str]
    lesion: str | None
    small_bound: str | None
    sites: dict[str, str]
    test_by_modality: list[ScoreRow]
    test_by_site: list[ScoreRow]
    models: list[ModelFacts]
    rounds_planned: int
    rounds: list[RoundFacts]
    curves: dict[str, SiteCurves]
    shortfalls: list[Shortfall]
    min_clients: int
    started: str
    seconds: float
    bytes_sent: int
    bytes_received: int
    seed: int
    versions: dict[str, str]
    task_digest: str
    settings: dict[str, str]
    task: dict[str, Any]

    @property
    def rounds_done(self) -> int:
        """Rounds that were closed."""
        return sum(item.closed for item in self.rounds)

    def to_json(self) -> str:
        """Strict JSON: what is not known is null, never NaN."""
        return self.model_dump_json(indent=1) + "\n"
