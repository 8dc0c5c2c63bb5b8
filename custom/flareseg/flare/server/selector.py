"""Which global models are worth keeping: the best on the whole, and the best for small targets."""

from __future__ import annotations

from nvflare.apis.fl_component import FLComponent
from nvflare.apis.fl_context import FLContext
from nvflare.app_common.app_constant import AppConstants
from nvflare.app_common.app_event_type import AppEventType

from flareseg.federation.best_models import MODEL_BEST, MODEL_BEST_SMALL, better_models
from flareseg.flare.names import METRIC_DICE, METRIC_SMALL_DICE

_METRICS = {MODEL_BEST: METRIC_DICE, MODEL_BEST_SMALL: METRIC_SMALL_DICE}


class BestModelSelector(FLComponent):
    """Keeps the model that was sent out in a round if accepted sites scored it better than the one kept before.

    Better is what :func:`flareseg.federation.best_models.better_models` says.

    The scores that come with a contribution are of the incoming global model, so before aggregation the context's
    global model is the one they speak of. The last aggregate is scored by the evaluation workflow.

    Args:
        persistor_id: id of the persistor component.
        recorder_id: id of the run recorder component.
    """

    def __init__(self, persistor_id: str = "persistor", recorder_id: str = "recorder") -> None:
        super().__init__()
        self.persistor_id = persistor_id
        self.recorder_id = recorder_id

    def handle_event(self, event_type: str, fl_ctx: FLContext) -> None:
        """Compare before aggregation."""
        if event_type == AppEventType.BEFORE_AGGREGATION:
            self._compare(fl_ctx)

    @staticmethod
    def _component(name: str, fl_ctx: FLContext):  # type: ignore[no-untyped-def]
        return fl_ctx.get_engine().get_component(name)

    def _compare(self, fl_ctx: FLContext) -> None:
        recorder = self._component(self.recorder_id, fl_ctx)
        rounds_done = fl_ctx.get_prop(AppConstants.CURRENT_ROUND)
        kept = {name: note for name in _METRICS if (note := recorder.kept(name)) is not None}
        for name, note in better_models(recorder.scores(), kept, rounds_done).items():
            model = fl_ctx.get_prop(AppConstants.GLOBAL_MODEL)
            if not self._component(self.persistor_id, fl_ctx).keep(name, model, note, fl_ctx):
                return
            self.log_info(fl_ctx, f"{name} model so far: {_METRICS[name]} {note.score:.4f} after {rounds_done} rounds")
            if name == MODEL_BEST and note.score is not None:
                self._announce(METRIC_DICE, note.score, rounds_done, fl_ctx)

    def _announce(self, metric: str, score: float, rounds_done: int, fl_ctx: FLContext) -> None:
        selection = {
            "best_round": rounds_done,
            "best_metrics": {metric: score},
            "key_metric": {"name": metric, "mode": "max"},
            "source": type(self).__name__,
        }
        fl_ctx.set_prop(AppConstants.VALIDATION_RESULT, score, private=True, sticky=False)
        fl_ctx.set_prop(AppConstants.METRICS_SELECTION_INFO, selection, private=True, sticky=False)
        self.fire_event(AppEventType.GLOBAL_BEST_MODEL_AVAILABLE, fl_ctx)
