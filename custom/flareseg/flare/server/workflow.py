"""The training workflow: NVFlare's ScatterAndGather, configured by task.yaml and meta.json."""

from __future__ import annotations

from typing import Any

from nvflare.apis.client import Client
from nvflare.apis.controller_spec import ClientTask
from nvflare.apis.fl_constant import ReturnCode
from nvflare.apis.fl_context import FLContext
from nvflare.apis.shareable import Shareable
from nvflare.apis.wf_comm_spec import WFCommSpec
from nvflare.app_common.app_constant import AppConstants
from nvflare.app_common.app_event_type import AppEventType
from nvflare.app_common.workflows.scatter_and_gather import ScatterAndGather

from flareseg.errors import FlaresegError
from flareseg.flare.names import TaskName, job_min_clients, job_task, site_error, stamp
from flareseg.flare.server.polling import pace_questions
from flareseg.flare.server.recorder import RunRecorder
from flareseg.memory import freeze_garbage

_MIN_RESPONSES = "__min_responses"


class SegmentationTraining(ScatterAndGather):
    """ScatterAndGather with rounds and patience from task.yaml and k from meta.json, so that each stands once.

    Args:
        aggregator_id: id of the aggregator component.
        persistor_id: id of the persistor component.
        shareable_generator_id: id of the shareable generator component.
        recorder_id: id of the run recorder component.
        checkpoints_id: id of the checkpoint keeper component.
    """

    def __init__(
        self,
        aggregator_id: str = "aggregator",
        persistor_id: str = "persistor",
        shareable_generator_id: str = "shareable_generator",
        recorder_id: str = "recorder",
        checkpoints_id: str = "checkpoints",
    ) -> None:
        super().__init__(
            min_clients=1,
            aggregator_id=aggregator_id,
            persistor_id=persistor_id,
            shareable_generator_id=shareable_generator_id,
            train_task_name=TaskName.TRAIN,
            snapshot_every_n_rounds=0,
            task_check_period=0.05,
        )
        self.recorder_id = recorder_id
        self.checkpoints_id = checkpoints_id
        self._recorder: RunRecorder
        self._unanswered: dict[str, tuple[str, int]] = {}  # client task id to site and round

    def set_communicator(self, communicator: WFCommSpec) -> None:
        """Have a site's question whether its work is still wanted come by here.

        NVFlare's client asks before it sends a result, and sends none that is too late: it is here that a slow site is
        distinguished from one that is gone.
        """
        super().set_communicator(communicator)
        ask = communicator.process_task_check

        def check(task_id: str, fl_ctx: FLContext) -> Any:
            wanted = ask(task_id=task_id, fl_ctx=fl_ctx)
            if wanted is None and task_id in self._unanswered:
                site, round_number = self._unanswered.pop(task_id)
                self.log_warning(fl_ctx, f"site {site} is too late for round {round_number}")
                self._recorder.came_late(site, round_number)
            return wanted

        communicator.process_task_check = check

    def start_controller(self, fl_ctx: FLContext) -> None:
        """Read task.yaml and meta.json, go on from an earlier job's checkpoint where one is named, then start."""
        try:
            task = job_task(fl_ctx)
            self._start_round = self._engine.get_component(self.checkpoints_id).resume(fl_ctx)
        except (FlaresegError, OSError) as error:
            self.system_panic(str(error), fl_ctx)
            return
        self._num_rounds = task.training.rounds - self._start_round
        self._min_clients = job_min_clients(fl_ctx)
        self._wait_time_after_min_received = task.aggregation.wait_after_min
        self._train_timeout = task.aggregation.round_timeout
        self._recorder = self._engine.get_component(self.recorder_id)
        pace_questions(len(self._engine.get_clients()), fl_ctx)
        super().start_controller(fl_ctx)
        freeze_garbage()  # NVFlare collects once a round

    def handle_event(self, event_type: str, fl_ctx: FLContext) -> None:
        """End after a round whose sites have spent their privacy budget: what was learned is then scored."""
        super().handle_event(event_type, fl_ctx)
        if event_type != AppEventType.ROUND_DONE or self._current_round is None:
            return
        done = self._current_round + 1 - self._start_round
        spent = self._recorder.without_budget()
        if done < self._num_rounds and spent and len(self._recorder.current.accepted) - len(spent) < self._min_clients:
            reason = (
                f"ended after {self._current_round + 1} rounds: the privacy budget of {', '.join(spent)} is spent, and "
                f"a round needs {self._min_clients} sites"
            )
            self.log_info(fl_ctx, reason)
            self._recorder.end_early(reason)
            self._num_rounds = done

    def _prepare_train_task_data(self, client_task: ClientTask, fl_ctx: FLContext) -> None:
        stamp(client_task.task.data, self._recorder.record)
        self._recorder.sent(client_task.client.name)
        self._unanswered[client_task.id] = client_task.client.name, int(self._current_round)
        super()._prepare_train_task_data(client_task, fl_ctx)

    def _process_train_result(self, client_task: ClientTask, fl_ctx: FLContext) -> None:
        """Take a result; one that was not accepted does not count towards k.

        ScatterAndGather counts responses: a site that fails at once would start the patience clock for the others.
        """
        site, task = client_task.client.name, client_task.task
        self._unanswered.pop(client_task.id, None)
        super()._process_train_result(client_task, fl_ctx)
        if not self._recorder.was_accepted(site):
            wanted = task.props[_MIN_RESPONSES] + 1
            task.props[_MIN_RESPONSES] = min(wanted, len(task.targets))

    def _accept_train_result(
        self, client_name: str, result: Shareable, fl_ctx: FLContext, is_unknown_task: bool = False
    ) -> bool:
        code = result.get_return_code()
        if code != ReturnCode.OK and not is_unknown_task:
            error = site_error(result)
            self._recorder.failed(client_name, error)
            self.log_error(fl_ctx, f"site {client_name} failed: {error}")
        return bool(super()._accept_train_result(client_name, result, fl_ctx, is_unknown_task))

    def process_result_of_unknown_task(
        self, client: Client, task_name: str, client_task_id: str, result: Shareable, fl_ctx: FLContext
    ) -> None:
        """Record a late result before the aggregator looks at it."""
        self._recorder.came_late(client.name, result.get_cookie(AppConstants.CONTRIBUTION_ROUND))
        super().process_result_of_unknown_task(client, task_name, client_task_id, result, fl_ctx)
