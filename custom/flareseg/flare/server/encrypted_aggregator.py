"""Homomorphic aggregation: NVFlare's aggregator for ciphertexts (CKKS, TenSEAL), with the checks that are possible.

The server adds up what it cannot read. Keys come with the kits (NVFlare's HEBuilder); each site's own filters, of its
scope ``encrypted``, encrypt what leaves and decrypt what comes. docs/privacy.md says what that guarantees.
"""

from __future__ import annotations

from typing import Any

from nvflare.apis.event_type import EventType
from nvflare.apis.fl_context import FLContext
from nvflare.apis.shareable import Shareable
from nvflare.app_common.app_constant import AppConstants
from nvflare.app_opt.he.intime_accumulate_model_aggregator import HEInTimeAccumulateWeightedAggregator
from tenseal.tensors.ckksvector import CKKSVector

from flareseg.config.task import Task
from flareseg.errors import FlaresegError, plain
from flareseg.flare.names import Prop, job_task
from flareseg.flare.server.contribution import read_contribution
from flareseg.networks import initial_state
from flareseg.privacy.scopes import Encrypted


class EncryptedAggregator(HEInTimeAccumulateWeightedAggregator):
    """Step-weighted mean of encrypted updates, of all sites or none.

    A plain update is refused, so that no site sends one by mistake. The mean of fewer sites than were asked is never
    made: every site can read it, and with its own update take the others' apart. What a ciphertext holds cannot be
    checked: a site that sends nonsense spoils the model.

    Args:
        recorder_id: id of the run recorder component.
    """

    def __init__(self, recorder_id: str = "recorder") -> None:
        super().__init__(weigh_by_local_iter=False)  # each site has multiplied by its steps before it encrypted
        self.recorder_id = recorder_id
        self._task: Task
        self._digest = ""
        self._sizes: dict[str, int] = {}

    def handle_event(self, event_type: str, fl_ctx: FLContext) -> None:
        """Read the task at the start of the run."""
        super().handle_event(event_type, fl_ctx)
        if event_type != EventType.START_RUN:
            return
        try:
            task = job_task(fl_ctx)
            Encrypted().check(task)
        except FlaresegError as error:
            self.system_panic(str(error), fl_ctx)
            return
        self._task, self._digest = task, task.digest()
        self._sizes = {name: value.numel() for name, value in initial_state(task).items()}

    def state(self) -> tuple[dict[str, Any], list[float]]:
        """What a checkpoint keeps of an aggregator: here neither momentum nor norms."""
        return {}, []

    def load_state(self, momentum: dict[str, Any], norms: list[float]) -> None:
        """Nothing to go on from."""

    def accept(self, shareable: Shareable, fl_ctx: FLContext) -> bool:
        """Add a contribution, or refuse it with a reason in the log and in the context."""
        try:
            data = read_contribution(shareable, self._task, self._digest, fl_ctx).data
            if {name: _encrypted_size(value) for name, value in data.items()} != self._sizes:
                raise ValueError("expected a ciphertext of each parameter, of its size")
            if not super().accept(shareable, fl_ctx):
                raise ValueError("a second contribution in one round")
        except Exception as error:  # whatever a site sends must not end the round of the others
            reason = plain(str(error)) if isinstance(error, ValueError) else f"unreadable ({type(error).__name__})"
            self.log_warning(fl_ctx, f"contribution of site {_sender(fl_ctx)} refused: {reason}")
            fl_ctx.set_prop(Prop.REFUSAL, reason, private=True, sticky=False)
            return False
        return True

    def aggregate(self, fl_ctx: FLContext) -> Shareable:
        """Give the encrypted mean; without the contribution of every site the job stops."""
        current = fl_ctx.get_engine().get_component(self.recorder_id).current
        missing = sorted(set(current.expected) - set(current.accepted))
        if missing:
            self.system_panic(
                f"round {fl_ctx.get_prop(AppConstants.CURRENT_ROUND)}: no contribution of {', '.join(missing)}: "
                "encrypted updates are added up of all sites or not at all",
                fl_ctx,
            )
            return Shareable()
        return super().aggregate(fl_ctx)


def _encrypted_size(value: Any) -> int:
    if not isinstance(value, CKKSVector):
        raise ValueError("a part of the update is not encrypted")
    return int(value.size())


def _sender(fl_ctx: FLContext) -> str:
    return str(fl_ctx.get_peer_context().get_identity_name())
