"""The site's component that writes the ledger, after every privacy filter and before anything is sent."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from nvflare.apis.dxo import DataKind, from_shareable
from nvflare.apis.event_type import EventType
from nvflare.apis.fl_component import FLComponent
from nvflare.apis.fl_constant import EventScope, FedEventHeader, FLContextKey, ReturnCode
from nvflare.apis.fl_context import FLContext
from nvflare.apis.shareable import ReservedHeaderKey, Shareable
from nvflare.app_common.app_constant import AppConstants
from nvflare.widgets.widget import WidgetID

from flareseg.errors import DataError, ErrorCode
from flareseg.flare.names import Header, failed_reply, recipient
from flareseg.privacy.ledger import LEDGER_FILE, append

_OURS = "flareseg."


class SiteLedger(FLComponent):
    """Writes what leaves the site in ``ledger.jsonl`` of its kit; what cannot be written down does not leave.

    Listed among the components of ``local/privacy.json``, so that NVFlare adds it to every job's process whatever the
    job says. Task results are seen after the filters of site and job, federation events as they are sent.
    """

    def __init__(self) -> None:
        super().__init__()
        self._round: int | None = None

    def handle_event(self, event_type: str, fl_ctx: FLContext) -> None:
        """Keep log text here, note the round of a task, write down its result, and every event to the server."""
        if event_type == EventType.START_RUN:
            fl_ctx.get_engine().get_widget(WidgetID.INFO_COLLECTOR).add_error = _forget
        elif event_type == EventType.BEFORE_TASK_EXECUTION:
            self._round = fl_ctx.get_prop(FLContextKey.TASK_DATA).get_header(AppConstants.CURRENT_ROUND)
        elif event_type == EventType.AFTER_TASK_RESULT_FILTER:
            self._write(kind_of(result := fl_ctx.get_prop(FLContextKey.TASK_RESULT)), result, fl_ctx)
        elif fl_ctx.get_prop(FLContextKey.EVENT_SCOPE) == EventScope.FEDERATION:
            data = fl_ctx.get_prop(FLContextKey.EVENT_DATA)
            if isinstance(data, Shareable) and data.get_header(FedEventHeader.DIRECTION, "out") == "out":
                self._write(event_type, data, fl_ctx, to=data.get_header(FedEventHeader.TARGETS))

    def _write(self, kind: str, leaving: Shareable, fl_ctx: FLContext, to: list[str] | None = None) -> None:
        path = Path(fl_ctx.get_engine().get_workspace().get_root_dir()) / LEDGER_FILE
        task = str(fl_ctx.get_prop(FLContextKey.TASK_NAME, "") or "")
        try:
            append(
                path,
                job=fl_ctx.get_job_id(),
                task=task,
                round_number=self._round if task else None,
                kind=kind,
                recipient=", ".join(to) if to else recipient(),
                content=what_leaves(leaving),
            )
        except (OSError, DataError) as error:
            # NVFlare sends the same object: emptied here, nothing goes out that the ledger does not know.
            leaving.clear()
            leaving.update(failed_reply(ErrorCode.NO_LEDGER))
            self.log_error(fl_ctx, f"{path}: nothing is sent, the ledger cannot be written: {error}", fire_event=False)


def _forget(group_name: str, key: str, err: str) -> None:
    """Stand for InfoCollector.add_error, which keeps warnings and errors, file names and all, for show_errors."""


def kind_of(result: Shareable) -> str:
    """The kind of data in a result (WEIGHT_DIFF, METRICS, ...), or the error it reports."""
    code = result.get_return_code()
    if code != ReturnCode.OK:
        error = result.get_header(Header.ERROR)
        return f"error {error['code'] if error else code}"
    try:
        return DataKind(from_shareable(result).data_kind).value
    except ValueError:
        return "other"


def what_leaves(shareable: Shareable) -> dict[str, Any]:
    """The content of a message: its body and our headers, without NVFlare's own bookkeeping."""
    headers = {
        key: value for key, value in shareable.get(ReservedHeaderKey.HEADERS, {}).items() if key.startswith(_OURS)
    }
    body = {key: value for key, value in shareable.items() if key != ReservedHeaderKey.HEADERS}
    return {"headers": headers, "body": body}
