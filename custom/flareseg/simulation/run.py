"""One job from its first round to its scores, in this process."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np

import flareseg
from flareseg.aggregation.selection import best_model
from flareseg.config.task import Task
from flareseg.errors import ErrorCode, FlaresegError, SettingsError, plain
from flareseg.federation.best_models import MODEL_LAST, better_models, rank
from flareseg.federation.update_sum import UpdateSum, Weights
from flareseg.job.folder import load_job
from flareseg.learning.learner import Learner, TrainingResult
from flareseg.learning.metrics import CaseScores, Scores
from flareseg.networks import initial_state
from flareseg.record.messages import PrivacyMessage, RoundReport, ScoresMessage
from flareseg.record.model_file import save_model, to_numpy, to_torch
from flareseg.record.run import ModelNote, RoundRecord, RunRecord
from flareseg.simulation.places import Places, open_places

OnProgress = Callable[[str, dict[str, Any] | None], None]

RESULT = "flareseg"
"""Folder of the result's files, as in a downloaded job."""
_PACKAGES = ("torch", "monai", "numpy", "nibabel")


@dataclass(frozen=True)
class Simulated:
    """What a simulated job gives.

    Attributes:
        record: as the server would write it.
        cases: site to the scores of the winner on each of its test volumes; a federation would not see these.
    """

    record: RunRecord
    cases: dict[str, list[CaseScores]]


def simulate(
    job: Path,
    files: Mapping[str, Path],
    folder: Path,
    *,
    train: tuple[str, ...] | None = None,
    pooled: bool = False,
    cache: Path | None = None,
    show: OnProgress = lambda status, progress: None,
) -> Simulated:
    """Run a job as a federation of these sites would, to the same bits.

    Models and record are kept as in the result of a job: ``flareseg report`` and ``flareseg predict`` read them.

    Args:
        job: job folder; of the privacy scopes only ``open`` can be simulated.
        files: ``site.yaml`` of each site. Every site scores the winner on its test set.
        folder: where record and models go, below ``flareseg/``.
        train: the sites that train and choose the model; all of them where not given.
        pooled: they train as one place that holds all their data.
        cache: folder for prepared volumes; in ``folder`` where not given.
        show: called with the progress after each round, see :meth:`flareseg.record.run.RunRecord.progress`.

    Raises:
        FlaresegError: job or data cannot be used, or the training diverged; updates that a server would refuse are
            refused here too.
    """
    meta, task = load_job(job)
    if meta.get("scope") != "open":
        raise SettingsError(
            f"{job}: asks for the privacy scope {meta.get('scope')}, a simulation is of scope open.",
            "Run it with flareseg poc run, where each site applies its scope.",
        )
    places = open_places(task, files, train, pooled, cache or folder / "cache")
    if not pooled and train is None and meta["min_clients"] > len(places.trainers):
        raise SettingsError(
            f"{job / 'meta.json'}: min_clients is {meta['min_clients']}, there are {len(places.trainers)} sites.",
            "Lower min_clients or add sites.",
        )
    record = RunRecord(
        job_id=str(uuid4()),
        job_name=str(meta["name"]),
        submitter="simulation",
        versions={"flareseg": flareseg.__version__} | {name: version(name) for name in _PACKAGES},
        task=task.model_dump(mode="json"),
        task_digest=task.digest(),
        min_clients=min(int(meta["min_clients"]), len(places.trainers)),
        started=time.time(),
        modalities={name: learner.data.site.modality for name, learner in places.sites.items()},
    )
    (folder / RESULT).mkdir(parents=True, exist_ok=True)
    run = _Run(task, places, record, folder / RESULT, show)
    run.train()
    cases = run.score()
    record.finish(time.time(), set(places.trainers))
    record.write(folder / RESULT / "record.json")
    return Simulated(record, cases)


class _Run:
    """The rounds of one job; the models kept so far."""

    def __init__(self, task: Task, places: Places, record: RunRecord, folder: Path, show: OnProgress) -> None:
        self.task, self.places, self.record, self.folder, self.show = task, places, record, folder, show
        self.models: dict[str, Weights] = {}

    def train(self) -> None:
        """Run every round."""
        updates = UpdateSum(self.task)
        weights = to_numpy(initial_state(self.task))
        for number in range(self.task.training.rounds):
            started = time.perf_counter()
            of_round = RoundRecord(round=number, expected=sorted(self.places.trainers))
            self.record.rounds.append(of_round)
            updates.begin_round(weights, len(self.places.trainers))
            scores = {}
            for name, learner in self.places.trainers.items():
                before = time.perf_counter()
                score, result = self._local_round(learner, weights, number)
                try:
                    updates.add(name, to_numpy(result.update), result.steps, result.mean_scale)
                except ValueError as error:
                    of_round.refused[name] = plain(str(error))
                    continue
                if score is not None:
                    scores[name] = score
                of_round.accepted = sorted({*of_round.accepted, name})
                of_round.steps[name] = result.steps
                if name in self.places.sites:
                    of_round.sites[name] = _report(learner, score, result, time.perf_counter() - before)
            if len(of_round.accepted) < self.record.min_clients:
                raise FlaresegError(
                    f"Round {number}: {len(of_round.accepted)} updates accepted, {self.record.min_clients} needed "
                    f"({of_round.missing()}).",
                    "Lower optimizer.lr, or min_clients in meta.json.",
                    code=ErrorCode.DIVERGED,
                )
            for name, note in better_models(scores, self.record.models, number).items():
                self._keep(name, weights, note)
            of_round.updates = updates.notes()
            weights = updates.result(weights)
            self._keep(MODEL_LAST, weights, ModelNote(rounds_done=number + 1))
            of_round.close(time.perf_counter() - started)
            self.show("RUNNING", self.record.progress(time.time()))

    def _local_round(
        self, learner: Learner, weights: Weights, number: int
    ) -> tuple[ScoresMessage | None, TrainingResult]:
        training, state = self.task.training, to_torch(weights)
        due = number % training.validate_every == 0 or number == training.rounds - 1
        score = _message(learner.validate(state)) if due else None
        return score, learner.train(state, number)

    def score(self) -> dict[str, list[CaseScores]]:
        """Score the kept models on the validation sets, then the winner on every site's test set."""
        evaluation = self.record.evaluation
        evaluation.expected = sorted(self.places.sites)
        refused = self.record.rounds[-1].refused  # in the last round: these are not asked
        for name in sorted(self.models, key=("last", "best", "best_small").index):
            twin = next((other for other in evaluation.validation if _same(self.models[other], self.models[name])), "")
            evaluation.validation[name] = evaluation.validation.get(twin) or {
                place: _message(learner.validate(to_torch(self.models[name])))
                for place, learner in sorted(self.places.trainers.items())
                if place not in refused
            }
            self.show("RUNNING", self.record.progress(time.time()))
        winner = best_model(rank(evaluation.validation))
        if winner is None:
            self.record.reason = "no site could score a model on its validation cases"
            return {}
        self.places.share_own_values()
        cases = {
            name: learner.score_cases(to_torch(self.models[winner]), "testing")
            for name, learner in sorted(self.places.sites.items())
            if name not in refused
        }
        evaluation.winner = winner
        evaluation.testing = {
            name: _message(Scores.of(several, self.places.sites[name].annotated_labels))
            for name, several in cases.items()
        }
        return cases

    def _keep(self, name: str, weights: Weights, note: ModelNote) -> None:
        about = {"name": name, "rounds_done": note.rounds_done, "flareseg": flareseg.__version__}
        save_model(self.folder / f"{name}.pt", weights, {**about, "task": self.record.task})
        self.models[name], self.record.models[name] = weights, note


def _report(learner: Learner, scores: ScoresMessage | None, result: TrainingResult, seconds: float) -> RoundReport:
    return RoundReport(
        modality=learner.data.site.modality,
        seconds=seconds,
        loss=result.loss,
        mean_scale=result.mean_scale,
        training_seconds=result.seconds,
        scores=scores,
        privacy=PrivacyMessage(scope="open"),
        excluded=learner.data.excluded,
        left_out=learner.data.left_out,
    )


def _message(scores: Scores) -> ScoresMessage:
    return ScoresMessage.model_validate(scores.as_dict())


def _same(one: Weights, other: Weights) -> bool:
    return all(np.array_equal(value, other[name]) for name, value in one.items())
