"""What a listed class may be given, and that our own classes take nothing that names a file or a class."""

from __future__ import annotations

import inspect
from importlib import import_module
from typing import Any

import pytest
from nvflare.apis.event_type import EventType
from nvflare.apis.fl_constant import FLContextKey
from nvflare.apis.fl_context import FLContext
from nvflare.apis.fl_exception import UnsafeComponentError

from federation import REPOSITORY
from flareseg.flare.safeguards.guard import ComponentGuard, faults, reaches_out
from flareseg.job.allow_list import CLASS_ALLOW_LIST

CONVERTER = "nvflare.app_common.widgets.convert_to_fed_event.ConvertToFedEvent"
BUILT = {"path": "subprocess.Popen", "args": {"args": ["touch", "x"]}}

REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "path": ({"args": {"model": BUILT}}, "args.model would build another object"),
    "class_path": ({"args": {"a": {"class_path": "os.system"}}}, "args.a would build"),
    "name": ({"args": {"a": {"name": "Popen"}}}, "args.a would build"),
    "config_type": ({"args": {"model": {"config_type": "dict", "a": 1}}}, "args.model would build"),
    "_target_": ({"args": {"a": {"_target_": "os.mkdir"}}}, "args.a would build"),
    "class_attributes": ({"args": {"class_attributes": {"a": 1}}}, "class_attributes"),
    "in a list": ({"args": {"a": [{"b": [BUILT]}]}}, "args.a.b would build"),
    "deep": ({"args": {"a": {"b": {"c": {"_target_": "x"}}}}}, "args.a.b.c would build"),
    "absolute": ({"args": {"a": "/etc/passwd"}}, "reaches outside the job's folder: /etc/passwd"),
    "upwards": ({"args": {"a": "x/../../y"}}, "reaches outside"),
    "upwards, of Windows": ({"args": {"a": "..\\y"}}, "reaches outside"),
    "home": ({"args": {"a": "~/x"}}, "reaches outside"),
    "address": ({"args": {"a": ["http://example.org"]}}, "reaches outside"),
    "variable": ({"args": {"a": "${HOME}"}}, "reaches outside"),
    "args of another kind": ({"args": ["a"]}, "args should be a mapping"),
    "log messages as events": (
        {"path": CONVERTER, "args": {"events_to_convert": ["analytix_log_stats", "_error_log_available"]}},
        "no other event",
    ),
    "a class that moved": (
        {"path": "flareseg.flare.aggregator.FedGSAggregator"},
        "is now flareseg.flare.server.plain_aggregator.PlainAggregator",
    ),
    "another prefix": ({"path": CONVERTER, "args": {"fed_event_prefix": ""}}, "no other event"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_arguments_that_reach_beyond_the_job_are_refused(case: str) -> None:
    config, words = REFUSED[case]
    config = {"path": "a.B", **config}
    fl_ctx = FLContext()
    fl_ctx.set_prop(FLContextKey.COMPONENT_CONFIG, config)
    with pytest.raises(UnsafeComponentError, match=f"component {config['path']} refused: "):
        ComponentGuard().handle_event(EventType.BEFORE_BUILD_COMPONENT, fl_ctx)
    assert any(words in fault for fault in faults(config))


def test_what_our_jobs_say_passes() -> None:
    import json

    parts = []
    for path in (REPOSITORY / "jobs").glob("*/app/config/config_fed_*.json"):
        content = json.loads(path.read_text())
        parts += [*content.get("workflows", []), *content["components"]]
        parts += [item["executor"] for item in content.get("executors", [])]
        parts += [f for item in content.get("task_result_filters", []) for f in item["filters"]]
    assert len(parts) > 10
    assert not [fault for part in parts for fault in faults(part)]


@pytest.mark.parametrize("text", ["tb_events", "metrics/summary.json", "a.b", "", "fed.x"])
def test_names_inside_the_job_pass(text: str) -> None:
    assert not reaches_out(text)


@pytest.mark.parametrize("name", [name for name in CLASS_ALLOW_LIST if name.startswith("flareseg.")])
def test_our_components_take_no_path_and_no_class(name: str) -> None:
    module, _, item = name.rpartition(".")
    arguments = inspect.signature(getattr(import_module(module), item)).parameters.values()
    assert all(argument.name.endswith("_id") and isinstance(argument.default, str | None) for argument in arguments)
