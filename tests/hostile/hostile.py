"""What a hostile site adds to its own kit (``local/custom``): answers of its own in place of the executor's.

It reads what to do in each round from ``local/attacks.json``: a list with one name for each round. Everything a site's
operator can do is open to it: it runs in the job's process, with the site's certificate and token.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from nvflare.apis.dxo import DXO, DataKind, MetaKey, from_shareable
from nvflare.apis.fl_component import FLComponent
from nvflare.apis.fl_constant import FedEventHeader, ReservedKey, ReturnCode
from nvflare.apis.fl_context import FLContext
from nvflare.apis.shareable import Shareable, make_reply
from nvflare.app_common.app_constant import AppConstants
from nvflare.private.defs import CellChannel, new_cell_message
from nvflare.widgets.fed_event import FED_EVENT_TOPIC

from flareseg.flare.names import Header
from flareseg.flare.site.executor import SegmentationExecutor

Data = dict[str, Any]
_honest = SegmentationExecutor.execute


class Hostile(FLComponent):
    """Takes the executor's place as soon as NVFlare builds it from ``local/resources.json``."""

    def __init__(self) -> None:
        super().__init__()
        SegmentationExecutor.execute = execute  # type: ignore[method-assign]


def execute(self: SegmentationExecutor, task: str, shareable: Shareable, fl_ctx: FLContext, signal: Any) -> Shareable:
    result = _honest(self, task, shareable, fl_ctx, signal)
    plan = Path(fl_ctx.get_engine().get_workspace().get_site_config_dir()) / "attacks.json"
    if not plan.is_file():
        return result
    if task == "validate":
        return _praise(result)
    attack = json.loads(plan.read_text())[shareable.get_header(AppConstants.CURRENT_ROUND)]
    if attack in ON_DATA:
        data = from_shareable(result).data
        ON_DATA[attack](data, next(name for name in data if data[name].ndim > 1))
    elif attack in ON_RESULT:
        return ON_RESULT[attack](self, result, fl_ctx)
    return result


def _set(value: float) -> Callable[[Data, str], None]:
    def change(data: Data, name: str) -> None:
        data[name].reshape(-1)[0] = value

    return change


def _thousandfold(data: Data, name: str) -> None:
    for array in data.values():
        array *= 1000


def _objects(data: Data, name: str) -> None:
    data[name] = [{"an": "object"}]


def _variance(data: Data, name: str) -> None:
    for key in data:
        if key.endswith("running_var"):
            data[key] = np.full_like(data[key], -1000.0)


def _flipped(data: Data, name: str) -> None:
    for key, array in data.items():
        if not key.endswith(("running_var", "running_mean", "num_batches_tracked")):
            array *= -5


ON_DATA: dict[str, Callable[[Data, str], Any]] = {
    "nan": _set(np.nan),
    "shape": lambda data, name: data.update({name: data[name][None]}),
    "extra": lambda data, name: data.update({"extra": np.zeros(3, np.float32)}),
    "missing": lambda data, name: data.pop(name),
    "dtype": lambda data, name: data.update({name: data[name].astype(np.int64)}),
    "objects": _objects,
    "thousandfold": _thousandfold,
    "variance": _variance,
    "flipped": _flipped,
}


def _steps(value: Any) -> Callable[[SegmentationExecutor, Shareable, FLContext], Shareable]:
    def change(executor: SegmentationExecutor, result: Shareable, fl_ctx: FLContext) -> Shareable:
        dxo = from_shareable(result)
        dxo.set_meta_prop(MetaKey.NUM_STEPS_CURRENT_ROUND, value)
        return dxo.update_shareable(result)

    return change


def _meta(executor: SegmentationExecutor, result: Shareable, fl_ctx: FLContext) -> Shareable:
    dxo = from_shareable(result)
    dxo.meta["more"] = "x" * 2_000_000
    return dxo.update_shareable(result)


def _report(executor: SegmentationExecutor, result: Shareable, fl_ctx: FLContext) -> Shareable:
    result.set_header(Header.REPORT, {**result.get_header(Header.REPORT), "patient": "Doe^Jane"})
    return result


def _in_report(*keys: str, value: Any) -> Callable[[SegmentationExecutor, Shareable, FLContext], Shareable]:
    """Put a value at a place of the report."""

    def change(executor: SegmentationExecutor, result: Shareable, fl_ctx: FLContext) -> Shareable:
        report = json.loads(json.dumps(result.get_header(Header.REPORT)))
        place = report
        for key in keys[:-1]:
            place = place[key]
        place[keys[-1]] = value
        result.set_header(Header.REPORT, report)
        return result

    return change


def _praise(result: Shareable) -> Shareable:
    """State a mean Dice that does not follow from the labels' values."""
    dxo = from_shareable(result)
    dxo.data["mean"] = 1.0
    dxo.data["dice"] = {label: {"mean": 0.0, "volumes": 1} for label in dxo.data["dice"]}
    return dxo.update_shareable(result)


def _as_another(executor: SegmentationExecutor, result: Shareable, fl_ctx: FLContext) -> Shareable:
    fl_ctx.set_prop(ReservedKey.IDENTITY_NAME, "hospital-a", private=False, sticky=False)
    return result


def _server_events(executor: SegmentationExecutor, result: Shareable, fl_ctx: FLContext) -> Shareable:
    events = (
        "_fatal_system_error",
        "_start_run",
        "_round_started",
        "_abort_task",
        "_end_run",
        "fed.analytix_log_stats",
    )
    for number, event in enumerate(events):
        request = DXO(DataKind.ANALYTIC, data={"track_key": "loss", "track_value": "Doe^Jane"}).to_shareable()
        request.set_header(FedEventHeader.EVENT_TYPE, event)
        request.set_header(FedEventHeader.TIMESTAMP, float(number))
        fl_ctx.get_engine().send_aux_request(["server"], FED_EVENT_TOPIC, request, 5.0, fl_ctx)
    return result


def _command(executor: SegmentationExecutor, result: Shareable, fl_ctx: FLContext) -> Shareable:
    for topic in ("update_run_status", "handle_dead_job", "show_stats", "app_command"):
        fl_ctx.get_engine().get_cell().send_request(
            target=f"server.{fl_ctx.get_job_id()}",
            channel=CellChannel.SERVER_COMMAND,
            topic=topic,
            request=new_cell_message({}, Shareable()),
            timeout=5.0,
        )
    return result


ON_RESULT: dict[str, Callable[[SegmentationExecutor, Shareable, FLContext], Shareable]] = {
    "steps 1e12": _steps(10**12),
    "steps -1": _steps(-1),
    "steps true": _steps(True),
    "meta": _meta,
    "report": _report,
    "seconds as text": _in_report("seconds", value="9" * 400),
    "loss of 1e300": _in_report("loss", value=1e300),
    "epsilon alone": _in_report("privacy", "epsilon", value=1.0),
    "another's name": _as_another,
    "server's events": _server_events,
    "server's commands": _command,
    "fatal code": lambda executor, result, fl_ctx: make_reply(ReturnCode.UNSAFE_JOB),
}
