"""What every contribution is checked for before any aggregator adds it up."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from nvflare.apis.dxo import DataKind, MetaKey, from_shareable
from nvflare.apis.fl_context import FLContext
from nvflare.apis.shareable import Shareable
from nvflare.app_common.app_constant import AppConstants

import flareseg
from flareseg.flare.keys import META_MEAN_SCALE, Header
from flareseg.flare.messages import check_meta
from flareseg.task import Task

_ROUNDING = 1e-9


class Contribution(NamedTuple):
    """An update by name, of as yet unchecked values, with its local steps and mean η."""

    data: Mapping[str, Any]
    steps: int
    scale: float


def read_contribution(shareable: Shareable, task: Task, digest: str, fl_ctx: FLContext) -> Contribution:
    """Check what comes with an update.

    Raises:
        ValueError: it is of another round, task or version, no update, or says impossible numbers; in words.
    """
    current = fl_ctx.get_prop(AppConstants.CURRENT_ROUND)
    of_round = shareable.get_cookie(AppConstants.CONTRIBUTION_ROUND)
    if of_round != current:
        raise ValueError(f"it is of round {of_round}, now is round {current}")
    if shareable.get_header(Header.VERSION) != flareseg.__version__:
        raise ValueError(f"made by flareseg {shareable.get_header(Header.VERSION)}, not {flareseg.__version__}")
    if shareable.get_header(Header.TASK_DIGEST) != digest:
        raise ValueError("made for another task.yaml")
    dxo = from_shareable(shareable)
    if dxo.data_kind != DataKind.WEIGHT_DIFF or not isinstance(dxo.data, Mapping):
        raise ValueError(f"expected {DataKind.WEIGHT_DIFF}, found {dxo.data_kind}")
    check_meta({key: value for key, value in dxo.meta.items() if key != MetaKey.PROCESSED_KEYS})
    steps = dxo.get_meta_prop(MetaKey.NUM_STEPS_CURRENT_ROUND)
    most = task.training.steps
    if isinstance(steps, bool) or not isinstance(steps, int) or not 1 <= steps <= most:
        raise ValueError(f"expected 1 to {most} steps, found {steps!r}")
    scale = dxo.get_meta_prop(META_MEAN_SCALE)
    low, high = task.fedgs.scale_range if task.fedgs else (1.0, 1.0)
    if not isinstance(scale, float) or not low - _ROUNDING <= scale <= high + _ROUNDING:  # NaN is not
        raise ValueError(f"expected a mean scale of {low:g} to {high:g}, found {scale!r}")
    return Contribution(dxo.data, steps, scale)
