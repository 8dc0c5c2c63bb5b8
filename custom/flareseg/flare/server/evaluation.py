"""The second workflow: the kept models to the validation sets, the winner to the held-out test sets."""

from __future__ import annotations

import numpy as np
from nvflare.apis.client import Client
from nvflare.apis.controller_spec import ClientTask, Task
from nvflare.apis.dxo import DXO, DataKind, from_shareable
from nvflare.apis.fl_constant import ReturnCode
from nvflare.apis.fl_context import FLContext
from nvflare.apis.impl.controller import Controller
from nvflare.apis.shareable import Shareable
from nvflare.apis.signal import Signal
from nvflare.app_common.abstract.model import ModelLearnable, ModelLearnableKey

from flareseg.aggregation.selection import best_model, mean_score
from flareseg.data.case import SplitName
from flareseg.federation.best_models import rank
from flareseg.flare.names import Header, TaskName, job_min_clients, job_task, site_error, stamp
from flareseg.flare.server.persistor import SegmentationModelPersistor
from flareseg.flare.server.recorder import RunRecorder
from flareseg.record.messages import ScoresMessage


class GlobalModelEvaluation(Controller):
    """Scores the last, the best and the best-for-small model, then the winner alone on held-out cases.

    Only metrics come back. The sites asked are those whose contribution was accepted in the last round. The winner is
    the model that the sites prefer on their validation sets, none of them by more than counts
    (:func:`flareseg.aggregation.selection.best_model`).

    Args:
        persistor_id: id of the persistor component.
        recorder_id: id of the run recorder component.
    """

    def __init__(self, persistor_id: str = "persistor", recorder_id: str = "recorder") -> None:
        super().__init__(task_check_period=0.05)
        self.persistor_id = persistor_id
        self.recorder_id = recorder_id
        self._persistor: SegmentationModelPersistor
        self._recorder: RunRecorder
        self._scores: dict[str, ScoresMessage] = {}

    def start_controller(self, fl_ctx: FLContext) -> None:
        """Find the components."""
        self._persistor = self._engine.get_component(self.persistor_id)
        self._recorder = self._engine.get_component(self.recorder_id)

    def control_flow(self, abort_signal: Signal, fl_ctx: FLContext) -> None:
        """Evaluate; the results stand in the run's record."""
        models = {name: self._persistor.get_model(name, fl_ctx) for name in self._persistor.candidates(fl_ctx)}
        validation: dict[str, dict[str, ScoresMessage]] = {}
        for name, model in models.items():
            twin = next((k for k in validation if _same(models[k], model)), None)
            validation[name] = (
                validation[twin] if twin else self._score(name, model, "validation", abort_signal, fl_ctx)
            )
            self._recorder.validated(name, validation[name])
            if abort_signal.triggered:
                return
        ranked = rank(validation)
        winner = best_model(ranked)
        if winner is None:
            self.system_panic("no site could score a model on its validation cases", fl_ctx)
            return
        testing = self._score(winner, models[winner], "testing", abort_signal, fl_ctx)
        if abort_signal.triggered:
            return
        self._recorder.tested(winner, testing)
        self.log_info(
            fl_ctx, f"winner: {winner}, mean site Dice on validation {mean_score(ranked[winner].values()):.4f}"
        )

    def stop_controller(self, fl_ctx: FLContext) -> None:
        """Nothing to release."""

    def process_result_of_unknown_task(
        self, client: Client, task_name: str, client_task_id: str, result: Shareable, fl_ctx: FLContext
    ) -> None:
        """Leave out a late result."""
        self.log_warning(fl_ctx, f"site {client.name}: late result of {task_name} left out")

    def _score(
        self, name: str, model: ModelLearnable, split: SplitName, abort_signal: Signal, fl_ctx: FLContext
    ) -> dict[str, ScoresMessage]:
        settings = job_task(fl_ctx)
        data = DXO(DataKind.WEIGHTS, model[ModelLearnableKey.WEIGHTS], model[ModelLearnableKey.META]).to_shareable()
        stamp(data, self._recorder.record)
        data.set_header(Header.SPLIT, split)
        data.set_header(Header.MODEL_NAME, name)
        self._scores = {}
        # After a resume a site that was accepted before may not be there.
        there = {client.name for client in fl_ctx.get_engine().get_clients()}
        targets = [site for site in self._recorder.current.accepted if site in there]
        self.broadcast_and_wait(
            task=Task(
                name=TaskName.VALIDATE,
                data=data,
                timeout=settings.aggregation.round_timeout,
                result_received_cb=self._receive,
            ),
            fl_ctx=fl_ctx,
            targets=targets,
            min_responses=min(job_min_clients(fl_ctx), len(targets)),
            wait_time_after_min_received=settings.aggregation.wait_after_min,
            abort_signal=abort_signal,
        )
        return dict(sorted(self._scores.items()))

    def _receive(self, client_task: ClientTask, fl_ctx: FLContext) -> None:
        site, result = client_task.client.name, client_task.result
        if result.get_return_code() != ReturnCode.OK:
            error = site_error(result)
            self._recorder.evaluation_failed(site, error)
            self.log_error(fl_ctx, f"site {site} failed: {error}")
            return
        try:
            self._scores[site] = ScoresMessage.model_validate(from_shareable(result).data).of(job_task(fl_ctx))
        except (ValueError, TypeError) as error:  # pydantic's ValidationError is a ValueError
            self.log_error(fl_ctx, f"site {site}: scores left out, not of the expected form ({type(error).__name__})")


def _same(one: ModelLearnable, other: ModelLearnable) -> bool:
    return all(
        type(value) is type(other[ModelLearnableKey.WEIGHTS][name])
        and np.all(value == other[ModelLearnableKey.WEIGHTS][name])
        for name, value in one[ModelLearnableKey.WEIGHTS].items()
    )
