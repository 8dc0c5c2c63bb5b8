"""The server's model files: last, best, and best for small targets."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from nvflare.apis.dxo import MetaKey
from nvflare.apis.fl_context import FLContext
from nvflare.app_common.abstract.model import ModelLearnable, ModelLearnableKey, make_model_learnable
from nvflare.app_common.abstract.model_persistor import ModelPersistor
from nvflare.app_common.app_constant import AppConstants

import flareseg
from flareseg.federation.best_models import MODEL_BEST, MODEL_BEST_SMALL, MODEL_LAST
from flareseg.flare.names import job_task, run_folder
from flareseg.networks import initial_state
from flareseg.record.model_file import load_model, save_model, to_numpy
from flareseg.record.run import ModelNote

_NAMES = (MODEL_LAST, MODEL_BEST, MODEL_BEST_SMALL)
_CKKS = "CKKS"  # as in nvflare.app_opt.he.constant, whose package needs TenSEAL


class SegmentationModelPersistor(ModelPersistor):
    """Starts from the task's seeded network, or from what a resume put there; keeps models in the job's run folder.

    It takes no class and no path, so that a job can neither build another class with it nor reach another file.

    Args:
        recorder_id: id of the run recorder component.
    """

    def __init__(self, recorder_id: str = "recorder") -> None:
        super().__init__()
        self.recorder_id = recorder_id

    def load_model(self, fl_ctx: FLContext) -> ModelLearnable:
        """Give the weights to start from: the last model of a resumed run, else the task's initial ones."""
        if MODEL_LAST in self.candidates(fl_ctx):
            return self.get_model(MODEL_LAST, fl_ctx)
        return make_model_learnable(to_numpy(initial_state(job_task(fl_ctx))), {})

    def save_model(self, model: ModelLearnable, fl_ctx: FLContext) -> None:
        """Keep the model as the last one."""
        note = ModelNote(rounds_done=fl_ctx.get_prop(AppConstants.CURRENT_ROUND) + 1)
        self.keep(MODEL_LAST, model, note, fl_ctx)

    def keep(self, name: str, model: ModelLearnable, note: ModelNote, fl_ctx: FLContext) -> bool:
        """Keep the model under one of the three names, and note it in the record.

        On a full disk the file of before stays and the job stops: days of training that nobody can keep help nobody.

        Returns:
            Whether it was kept.
        """
        try:
            self.write(name, model[ModelLearnableKey.WEIGHTS], note.rounds_done, fl_ctx)
        except OSError as error:
            self.system_panic(
                f"the model {name} after {note.rounds_done} rounds could not be saved ({error.strerror}); the one "
                f"before it remains. Free space on the server's disk, then: flareseg job resume {fl_ctx.get_job_id()}",
                fl_ctx,
            )
            return False
        fl_ctx.get_engine().get_component(self.recorder_id).keep(name, note)
        return True

    def write(self, name: str, weights: Mapping[str, Any], rounds_done: int, fl_ctx: FLContext) -> None:
        """Write weights under one of the three names, replacing what was there.

        Raises:
            OSError: the disk is full; the file of before stays.
        """
        about = {
            "name": name,
            "rounds_done": rounds_done,
            "flareseg": flareseg.__version__,
            "task": job_task(fl_ctx).model_dump(mode="json"),
        }
        save_model(self._file(name, fl_ctx), weights, about)

    def candidates(self, fl_ctx: FLContext) -> list[str]:
        """Names of the models that were kept, in a fixed order."""
        return [name for name in _NAMES if self._file(name, fl_ctx).is_file()]

    def get_model(self, model_file: str, fl_ctx: FLContext) -> ModelLearnable:
        """Read a kept model by its name."""
        state, about = load_model(self._file(model_file, fl_ctx))
        weights = to_numpy(state)
        encrypted = {key: value.dtype == np.uint8 for key, value in weights.items()}
        meta: dict[str, Any] = {"rounds_done": about["rounds_done"]}
        if any(encrypted.values()):  # what NVFlare's filter at a site needs to decrypt
            meta |= {MetaKey.PROCESSED_KEYS: encrypted, MetaKey.PROCESSED_ALGORITHM: _CKKS}
        return make_model_learnable({k: v.tobytes() if encrypted[k] else v for k, v in weights.items()}, meta)

    @staticmethod
    def _file(name: str, fl_ctx: FLContext) -> Path:
        if name not in _NAMES:
            raise ValueError(f"model should be one of {', '.join(_NAMES)}, got {name}")
        return run_folder(fl_ctx) / f"{name}.pt"
