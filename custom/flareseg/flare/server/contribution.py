"""What every contribution is checked for before any aggregator adds it up."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from nvflare.apis.dxo import DXO, DataKind, MetaKey, from_shareable
from nvflare.apis.fl_context import FLContext
from nvflare.apis.shareable import Shareable
from nvflare.app_common.app_constant import AppConstants

import flareseg
from flareseg.config.task import Task
from flareseg.flare.names import META_MEAN_SCALE, Header
from flareseg.record.messages import check_meta

_ROUNDING = 1e-9
_OF_FILTERS = (MetaKey.FILTER_HISTORY, MetaKey.PROCESSED_KEYS)
_MOST_FILTERS, _NAME_LENGTH = 100, 100


class Contribution(NamedTuple):
    """An update by name, of as yet unchecked values, with its local steps and mean η."""

    data: Mapping[str, Any]
    steps: int
    scale: float


def read_contribution(shareable: Shareable, task: Task, digest: str, fl_ctx: FLContext) -> Contribution:
    """Check what comes with an update.

    Raises:
        ValueError: it is of another round, task or version, no update, or states impossible numbers.
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
    _check_filters(dxo)
    check_meta({key: value for key, value in dxo.meta.items() if key not in _OF_FILTERS})
    steps = dxo.get_meta_prop(MetaKey.NUM_STEPS_CURRENT_ROUND)
    most = task.training.steps
    if isinstance(steps, bool) or not isinstance(steps, int) or not 1 <= steps <= most:
        raise ValueError(f"expected 1 to {most} steps, found {steps!r}")
    scale = dxo.get_meta_prop(META_MEAN_SCALE)
    low, high = task.fedgs.scale_range if task.fedgs else (1.0, 1.0)
    if not isinstance(scale, float) or not low - _ROUNDING <= scale <= high + _ROUNDING:  # NaN is not
        raise ValueError(f"expected a mean scale of {low:g} to {high:g}, found {scale!r}")
    return Contribution(dxo.data, steps, scale)


def _check_filters(dxo: DXO) -> None:
    """Check what NVFlare's filters at a site write beside an update: their names, and what they changed."""
    history, changed = (dxo.get_meta_prop(key) for key in _OF_FILTERS)
    known = history is None or (isinstance(history, list) and len(history) <= _MOST_FILTERS)
    if not known or not all(isinstance(name, str) and len(name) <= _NAME_LENGTH for name in history or ()):
        raise ValueError("expected a short list of filters beside the update")
    known = changed is None or (isinstance(changed, dict) and changed.keys() <= dxo.data.keys())
    if not known or not all(isinstance(value, bool) for value in (changed or {}).values()):
        raise ValueError("expected the update's names, and whether they were changed, beside it")
