from __future__ import annotations

import pytest
from nvflare.apis.fl_constant import FLContextKey
from nvflare.apis.fl_context import FLContext
from nvflare.private.fed.server.server_runner import ServerRunnerConfig

from flareseg.flare.server.polling import pace_questions


@pytest.mark.parametrize(("sites", "seconds"), [(1, 0.1), (3, 0.1), (10, 0.1), (50, 0.5), (200, 2.0)])
def test_many_sites_ask_less_often(sites: int, seconds: float) -> None:
    class Runner:
        config = ServerRunnerConfig(
            heartbeat_timeout=60,
            task_request_interval=0.1,
            workflows=[],
            task_data_filters={},
            task_result_filters={},
        )

    context = FLContext()
    context.set_prop(FLContextKey.RUNNER, Runner(), private=True, sticky=True)
    assert pace_questions(sites, context) == seconds
    assert Runner.config.task_request_interval == seconds
    assert pace_questions(sites, context) == seconds
