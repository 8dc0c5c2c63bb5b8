"""Checkpoints: all that a run needs to go on, in one file of the server that outlives the job's run folder."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nvflare.apis.event_type import EventType
from nvflare.apis.fl_component import FLComponent
from nvflare.apis.fl_constant import FLContextKey
from nvflare.apis.fl_context import FLContext
from nvflare.app_common.abstract.model import ModelLearnableKey
from nvflare.app_common.app_constant import AppConstants
from pydantic import ValidationError

from flareseg.errors import ErrorCode, FlaresegError
from flareseg.federation.best_models import MODEL_LAST
from flareseg.files import hold
from flareseg.flare.names import Happened
from flareseg.flare.server.aggregator import ContributionAggregator
from flareseg.flare.server.persistor import SegmentationModelPersistor
from flareseg.flare.server.recorder import RunRecorder
from flareseg.job.manifest import RESUMES, job_uuid
from flareseg.networks.state import State
from flareseg.record.model_file import load_tensors, save_tensors, to_numpy, to_torch
from flareseg.record.run import RunRecord

CHECKPOINTS = "checkpoints"
_PATIENCE_SECONDS = 20.0
KEEP = 10
"""How many jobs' checkpoints a server keeps: those written last."""
FORMAT = 2
"""Of the file. 1, which had no number, held the velocity with the opposite sign: w - v where now it is w + v."""


@dataclass(frozen=True)
class Checkpoint:
    """The state of a run after a complete round.

    Attributes:
        record: rounds, participation, and the scores of the kept models.
        models: the kept models by name (last, best, best_small): parameter name to tensor.
        aggregator: what the aggregator goes on from (:meth:`ContributionAggregator.state`).
    """

    record: RunRecord
    models: Mapping[str, State]
    aggregator: State

    @property
    def rounds_done(self) -> int:
        """Number of complete rounds; the round to run next."""
        return self.record.rounds[-1].round + 1

    def write(self, path: Path) -> None:
        """Write the file atomically, and let go of the oldest beyond :data:`KEEP`.

        Raises:
            OSError: the disk is full; the file of the round before stays.
        """
        path.parent.mkdir(mode=0o700, exist_ok=True)
        models = {name: dict(model) for name, model in self.models.items()}
        record = self.record.model_dump_json()
        content = {"format": FORMAT, "models": models, "aggregator": dict(self.aggregator), "record": record}
        save_tensors(path, content)
        for file in sorted(path.parent.glob("*.pt"), key=_written, reverse=True)[KEEP:]:
            file.unlink(missing_ok=True)

    @classmethod
    def read(cls, path: Path) -> Checkpoint:
        """Read a checkpoint; nothing in the file is executed.

        Raises:
            FlaresegError: the file is missing, it is damaged, or another flareseg wrote it in another format.
        """
        if not path.is_file():
            raise _refusal(
                f"{path}: no such checkpoint.",
                "A job has one from its first complete round until it ends well: submit the job anew.",
            )
        content = load_tensors(path)
        found = content.get("format", 1)
        if found != FORMAT:
            raise _refusal(
                f"{path}: has the format {found!r} of another flareseg; this one reads format {FORMAT}.",
                "Resume with the flareseg that wrote it, at the server and all sites, or submit the job anew.",
            )
        try:
            record = RunRecord.model_validate(json.loads(content["record"]))
            if not record.rounds or content["models"].keys() != record.models.keys():
                raise ValueError("models and record differ")
            return cls(record, dict(content["models"]), dict(content["aggregator"]))
        except (KeyError, TypeError, ValueError, ValidationError) as error:
            raise _refusal(f"{path}: is damaged ({type(error).__name__}).", "Submit the job anew.") from None

    def check_continues(self, record: RunRecord) -> None:
        """Check that a new job may go on from here.

        Args:
            record: the new job's record, with nothing run yet.

        Raises:
            FlaresegError: it learns something else, with another version, or was submitted by somebody else.
        """
        mine = self.record
        if record.submitter != mine.submitter:
            raise _refusal(
                f"Job {mine.job_id} was submitted by {mine.submitter}, not by {record.submitter}.",
                "Only who submitted a job may resume it.",
            )
        if record.task_digest != mine.task_digest or record.min_clients != mine.min_clients:
            raise _refusal(
                f"Job {mine.job_id} ran with another task.yaml or min_clients.",
                "Resume it with flareseg job resume, which submits the same job.",
            )
        ours, theirs = record.versions["flareseg"], mine.versions["flareseg"]
        if ours != theirs:
            raise _refusal(
                f"Job {mine.job_id} ran with flareseg {theirs}, here is {ours}.", f"Install flareseg {theirs}."
            )


def _written(file: Path) -> float:
    try:
        return file.stat().st_mtime
    except FileNotFoundError:  # another job's process has let go of it
        return 0.0


def _refusal(message: str, remedy: str) -> FlaresegError:
    return FlaresegError(message, remedy, code=ErrorCode.BAD_SETTINGS)


class CheckpointKeeper(FLComponent):
    """One file for each job below ``checkpoints/`` of the server's workspace.

    It is written when the record of a round is closed, and deleted when the run has ended well: of a finished job
    nothing is left to resume. A run that ends otherwise leaves it.

    Args:
        aggregator_id: id of the aggregator component.
        persistor_id: id of the persistor component.
        recorder_id: id of the run recorder component.
    """

    def __init__(
        self, aggregator_id: str = "aggregator", persistor_id: str = "persistor", recorder_id: str = "recorder"
    ) -> None:
        super().__init__()
        self.aggregator_id = aggregator_id
        self.persistor_id = persistor_id
        self.recorder_id = recorder_id
        self._folder: Path
        self._aggregator: ContributionAggregator
        self._persistor: SegmentationModelPersistor
        self._recorder: RunRecorder

    def handle_event(self, event_type: str, fl_ctx: FLContext) -> None:
        """Find the other components, keep each round, and clean up at the end."""
        if event_type == EventType.START_RUN:
            engine = fl_ctx.get_engine()
            self._folder = Path(engine.get_workspace().get_root_dir()) / CHECKPOINTS
            self._aggregator = engine.get_component(self.aggregator_id)
            self._persistor = engine.get_component(self.persistor_id)
            self._recorder = engine.get_component(self.recorder_id)
        elif event_type == Happened.ROUND_RECORDED:
            self._keep(fl_ctx)
        elif event_type == EventType.END_RUN:
            self._clean_up()

    def resume(self, fl_ctx: FLContext) -> int:
        """Give every component the state that the job named in meta.json left.

        Returns:
            The round to run next: 0 for a job that names none.

        Raises:
            FlaresegError: there is nothing to go on from, or this job may not.
            OSError: the models cannot be written.
        """
        earlier = resumed_job(fl_ctx.get_prop(FLContextKey.JOB_META))
        if earlier is None:
            return 0
        checkpoint = Checkpoint.read(self._file(earlier))
        checkpoint.check_continues(self._recorder.record)
        self._hold(checkpoint.record.run_id)
        self._recorder.go_on(checkpoint.record, fl_ctx)
        self._aggregator.load_state(to_numpy(checkpoint.aggregator))
        for name, model in checkpoint.models.items():
            self._persistor.write(name, to_numpy(model), checkpoint.record.models[name].rounds_done, fl_ctx)
        self.log_info(fl_ctx, f"resumes job {earlier} after {checkpoint.rounds_done} complete rounds")
        return checkpoint.rounds_done

    def _hold(self, run_id: str) -> None:
        """Keep a second resume of the run away as long as this process lives."""
        try:
            self._lock = hold(self._file(run_id).with_suffix(".lock"), _PATIENCE_SECONDS)
        except BlockingIOError as error:
            raise _refusal(
                f"Another job that resumes the run {run_id} is at work ({error.strerror}).",
                "Wait for its end, or abort it; then resume again.",
            ) from None

    def _file(self, job_id: str) -> Path:
        return self._folder / f"{job_id}.pt"

    def _keep(self, fl_ctx: FLContext) -> None:
        record = self._recorder.snapshot()
        last = record.models.get(MODEL_LAST)
        if last is None or last.rounds_done != record.rounds[-1].round + 1:
            return  # a round whose model could not be kept is not complete
        models = {
            name: to_torch(self._persistor.get_model(name, fl_ctx)[ModelLearnableKey.WEIGHTS])
            for name in self._persistor.candidates(fl_ctx)
            if name != MODEL_LAST
        }
        models[MODEL_LAST] = to_torch(fl_ctx.get_prop(AppConstants.GLOBAL_MODEL)[ModelLearnableKey.WEIGHTS])
        try:
            Checkpoint(record, models, to_torch(self._aggregator.state())).write(self._file(record.job_id))
        except OSError as error:
            self.system_panic(
                f"round {record.rounds[-1].round}: the checkpoint could not be written ({error.strerror}); that of the "
                f"round before remains. Free space on the server's disk, then: flareseg job resume {record.job_id}",
                fl_ctx,
            )

    def _clean_up(self) -> None:
        if self._recorder.ended_well:
            record = self._recorder.record
            for job_id in (*record.resumed_from, record.job_id):
                self._file(job_id).unlink(missing_ok=True)
            self._file(record.run_id).with_suffix(".lock").unlink(missing_ok=True)


def resumed_job(meta: dict[str, Any]) -> str | None:
    """Id of the job that a job's meta.json asks to go on from; None where it asks for none.

    Raises:
        FlaresegError: what stands there is no job id.
    """
    named = meta.get(RESUMES)
    return None if named is None else job_uuid(named)
