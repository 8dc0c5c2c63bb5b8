"""The server's model files: last, best, and best for small targets."""

from __future__ import annotations

from nvflare.apis.fl_context import FLContext
from nvflare.app_common.abstract.model import ModelLearnable, ModelLearnableKey, make_model_learnable
from nvflare.app_common.abstract.model_persistor import ModelPersistor
from nvflare.app_common.app_constant import AppConstants

import flareseg
from flareseg.flare.keys import MODEL_BEST, MODEL_BEST_SMALL, MODEL_LAST, job_task, run_folder
from flareseg.flare.state import load_model, save_model, to_numpy
from flareseg.networks import initial_state


class SegmentationModelPersistor(ModelPersistor):
    """Starts from the task's seeded network and keeps models in the job's own run folder.

    It takes no class and no path, so that a job can neither build another class with it nor reach another file.
    """

    def load_model(self, fl_ctx: FLContext) -> ModelLearnable:
        """Give the initial weights of the task's network."""
        return make_model_learnable(to_numpy(initial_state(job_task(fl_ctx))), {})

    def save_model(self, model: ModelLearnable, fl_ctx: FLContext) -> None:
        """Keep the model as the last one."""
        self.save_as(MODEL_LAST, model, fl_ctx.get_prop(AppConstants.CURRENT_ROUND) + 1, fl_ctx)

    def save_as(self, name: str, model: ModelLearnable, rounds_done: int, fl_ctx: FLContext) -> None:
        """Keep the model under one of the three names, replacing what was there."""
        about = {
            "name": name,
            "rounds_done": rounds_done,
            "flareseg": flareseg.__version__,
            "task": job_task(fl_ctx).model_dump(mode="json"),
        }
        save_model(run_folder(fl_ctx) / f"{name}.pt", model[ModelLearnableKey.WEIGHTS], about)

    def candidates(self, fl_ctx: FLContext) -> list[str]:
        """Names of the models that were kept, in a fixed order."""
        folder = run_folder(fl_ctx)
        return [name for name in (MODEL_LAST, MODEL_BEST, MODEL_BEST_SMALL) if (folder / f"{name}.pt").is_file()]

    def get_model(self, model_file: str, fl_ctx: FLContext) -> ModelLearnable:
        """Read a kept model by its name."""
        if model_file not in (MODEL_LAST, MODEL_BEST, MODEL_BEST_SMALL):
            raise ValueError(f"model should be one of last, best, best_small, got {model_file}")
        state, about = load_model(run_folder(fl_ctx) / f"{model_file}.pt")
        return make_model_learnable(to_numpy(state), {"rounds_done": about["rounds_done"]})
