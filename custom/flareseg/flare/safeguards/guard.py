"""The kit's guard: arguments with which a listed class would reach beyond its job."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from nvflare.apis.event_type import EventType
from nvflare.apis.fl_component import FLComponent
from nvflare.apis.fl_constant import FLContextKey
from nvflare.apis.fl_context import FLContext
from nvflare.apis.fl_exception import UnsafeComponentError
from nvflare.apis.job_def import JobMetaKey
from nvflare.fuel.sec.audit import AuditService

from flareseg.errors import plain
from flareseg.job.renamed import renamed

BUILDING_KEYS = frozenset({"path", "class_path", "name", "config_type", "_target_"})
"""Keys that make NVFlare, or a library below it, build an object from a dictionary."""
_EVENT_CONVERTER = "nvflare.app_common.widgets.convert_to_fed_event.ConvertToFedEvent"
_CURVES = {"events_to_convert": ["analytix_log_stats"], "fed_event_prefix": "fed."}


class ComponentGuard(FLComponent):
    """Checks the arguments of every component that a job builds, at the server and at a site.

    NVFlare compares a component's class with ``class_allow_list``, not what the class is given. Refused are nested
    dictionaries that would build another object, text that reaches outside the job's folder, and the conversion of any
    event but the curves: log messages with file names are events too, which a job could have sent to the server.

    Listed among the components of ``local/resources.json``.
    """

    def handle_event(self, event_type: str, fl_ctx: FLContext) -> None:
        """Refuse a component before it is built.

        Raises:
            UnsafeComponentError: NVFlare then ends the job's process at this place, naming the component.
        """
        if event_type != EventType.BEFORE_BUILD_COMPONENT:
            return
        config = fl_ctx.get_prop(FLContextKey.COMPONENT_CONFIG)
        reason = next(faults(config), "")
        if reason:
            meta = fl_ctx.get_prop(FLContextKey.JOB_META) or {}
            text = f"component {plain(str(component_path(config)))} refused: {plain(reason)}"
            AuditService.add_event(
                user=str(meta.get(JobMetaKey.SUBMITTER_NAME, "")),
                action="component_guard.refused",
                ref=str(meta.get(JobMetaKey.JOB_ID, "")),
                msg=text,
            )
            self.logger.error(text)
            raise UnsafeComponentError(text)


def component_path(config: Any) -> Any:
    """The class that a component's configuration names."""
    return config.get("path", config.get("class_path")) if isinstance(config, dict) else None


def faults(config: Any) -> Iterator[str]:
    """What is wrong with the arguments of one component's configuration."""
    args = config.get("args", {}) if isinstance(config, dict) else None
    if not isinstance(args, dict):
        yield f"args should be a mapping, found {type(args).__name__}"
        return
    if moved := renamed(component_path(config)):
        yield moved
    if component_path(config) == _EVENT_CONVERTER and {**_CURVES, **args} != _CURVES:
        yield "it may send the curves (analytix_log_stats) and no other event"
    if "class_attributes" in args:  # NVFlare takes it in place of all arguments
        yield "args should not be given as class_attributes"
    for name, value in args.items():
        yield from _faults(value, f"args.{name}")


def _faults(value: Any, where: str) -> Iterator[str]:
    if isinstance(value, dict):
        building = BUILDING_KEYS & value.keys()
        if building:
            yield f"{where} would build another object ({', '.join(sorted(building))})"
        for key, item in value.items():
            yield from _faults(item, f"{where}.{key}")
    elif isinstance(value, list):
        for item in value:
            yield from _faults(item, where)
    elif isinstance(value, str) and reaches_out(value):
        yield f"{where} reaches outside the job's folder: {value}"


def reaches_out(text: str) -> bool:
    """Whether text could be a path outside the folder it is taken relative to, or a variable or address."""
    parts = text.replace("\\", "/").split("/")
    return text.startswith(("/", "\\", "~")) or ".." in parts or any(mark in text for mark in (":", "$", "\0"))
