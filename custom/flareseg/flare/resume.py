"""The server's component that keeps a checkpoint after each round, and lets a job go on from an earlier one's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from nvflare.apis.event_type import EventType
from nvflare.apis.fl_component import FLComponent
from nvflare.apis.fl_constant import FLContextKey
from nvflare.apis.fl_context import FLContext
from nvflare.app_common.abstract.model import ModelLearnableKey
from nvflare.app_common.app_constant import AppConstants

from flareseg.flare.aggregator import FedGSAggregator
from flareseg.flare.checkpoint import CHECKPOINTS, Checkpoint, job_uuid
from flareseg.flare.keys import MODEL_LAST, Happened
from flareseg.flare.persistor import SegmentationModelPersistor
from flareseg.flare.recorder import RunRecorder
from flareseg.flare.state import to_numpy, to_torch
from flareseg.manifest import RESUMES


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
        self._aggregator: FedGSAggregator
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
        self._recorder.go_on(checkpoint.record, fl_ctx)
        self._aggregator.load_state(to_numpy(checkpoint.momentum), checkpoint.norms)
        for name, model in checkpoint.models.items():
            self._persistor.write(name, to_numpy(model), checkpoint.record.models[name].rounds_done, fl_ctx)
        self.log_info(fl_ctx, f"resumes job {earlier} after {checkpoint.rounds_done} complete rounds")
        return checkpoint.rounds_done

    def _file(self, job_id: str) -> Path:
        return self._folder / f"{job_id}.pt"

    def _keep(self, fl_ctx: FLContext) -> None:
        record = self._recorder.record
        last = record.models.get(MODEL_LAST)
        if last is None or last.rounds_done != record.rounds[-1].round + 1:
            return  # a round whose model could not be kept is not complete
        models = {
            name: to_torch(self._persistor.get_model(name, fl_ctx)[ModelLearnableKey.WEIGHTS])
            for name in self._persistor.candidates(fl_ctx)
            if name != MODEL_LAST
        }
        models[MODEL_LAST] = to_torch(fl_ctx.get_prop(AppConstants.GLOBAL_MODEL)[ModelLearnableKey.WEIGHTS])
        velocity, norms = self._aggregator.state()
        try:
            Checkpoint(record, models, to_torch(velocity), norms).write(self._file(record.job_id))
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


def resumed_job(meta: dict[str, Any]) -> str | None:
    """Id of the job that a job's meta.json asks to go on from; None where it asks for none.

    Raises:
        FlaresegError: what stands there is no job id.
    """
    named = meta.get(RESUMES)
    return None if named is None else job_uuid(named)
