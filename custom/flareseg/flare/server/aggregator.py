"""The server's component that takes contributions: the base of every aggregator."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Mapping

import numpy as np
from nvflare.apis.dxo import DXO, DataKind
from nvflare.apis.event_type import EventType
from nvflare.apis.fl_context import FLContext
from nvflare.apis.shareable import Shareable
from nvflare.app_common.abstract.aggregator import Aggregator
from nvflare.app_common.abstract.model import ModelLearnableKey
from nvflare.app_common.aggregators.weighted_aggregation_helper import AggregationStatsKey
from nvflare.app_common.app_constant import AppConstants
from nvflare.app_common.app_event_type import AppEventType

from flareseg.config.task import Task
from flareseg.errors import FlaresegError, plain
from flareseg.federation.update_sum import Weights
from flareseg.flare.names import Prop, job_min_clients, job_task
from flareseg.flare.server.contribution import Contribution, read_contribution
from flareseg.record.run import UpdateNotes

__all__ = ["ContributionAggregator", "Weights"]


class ContributionAggregator(Aggregator, ABC):
    """Base of every aggregator: takes contributions or refuses them, closes a round, and keeps what a resume needs.

    A contribution is checked, handed to :meth:`add` under a lock and let go. One that does not fit is refused with a
    reason in the log and in the record, and leaves no trace. Below k accepted ones the model stays as it was and the
    job stops. Nothing here raises: an exception would end the round or the job for everybody.

    A subclass says what is done with the contributions of a round, in :meth:`begin_round`, :meth:`add` and
    :meth:`result` (docs/extending/aggregator.md).
    """

    def __init__(self) -> None:
        super().__init__()
        self._lock = threading.Lock()
        self._task: Task | None = None
        self._digest = ""
        self._closed = True
        self._accepted: set[str] = set()

    @abstractmethod
    def begin_round(self, weights: Weights, sites: int) -> None:
        """Forget the round before.

        Args:
            weights: the global model that goes out, name to array.
            sites: how many contributions will come at the most, at least 1.
        """

    @abstractmethod
    def add(self, site: str, contribution: Contribution) -> None:
        """Take the first contribution of a site to this round, or refuse it without a trace.

        Args:
            site: name that the connection vouches for.
            contribution: its steps and mean scale are checked, its update is not: the values can be anything.

        Raises:
            ValueError: it is refused; the text is the reason, of one short line.
        """

    @abstractmethod
    def result(self, weights: Weights) -> DXO:
        """Give the new global weights (WEIGHTS), or the change to them (WEIGHT_DIFF).

        Args:
            weights: the global model that went out; not to be changed.
        """

    def begin_run(self, task: Task) -> None:
        """Look at the task before the first round.

        Raises:
            FlaresegError: the task cannot be aggregated; the job stops with it.
        """

    def lacking(self, accepted: set[str], fl_ctx: FLContext) -> str:
        """Why the accepted sites are too few for a new model, empty when they are enough: k of n."""
        wanted = job_min_clients(fl_ctx)
        if len(accepted) >= wanted:
            return ""
        names = ", ".join(sorted(accepted)) or "none"
        return f"{len(accepted)} contributions accepted ({names}), {wanted} needed; the model stays as it was"

    def notes(self) -> UpdateNotes:
        """What the record keeps of the round's updates, asked before :meth:`result`."""
        return UpdateNotes()

    def state(self) -> Weights:
        """What goes from round to round, as arrays by name: kept in every checkpoint."""
        return {}

    def load_state(self, state: Mapping[str, np.ndarray]) -> None:
        """Go on from an earlier :meth:`state`, to the same bits as if the run had not been interrupted."""

    def handle_event(self, event_type: str, fl_ctx: FLContext) -> None:
        """Read the task at the start of the run, open each round as it starts."""
        if event_type == EventType.START_RUN:
            try:
                task = job_task(fl_ctx)
                self.begin_run(task)
            except FlaresegError as error:
                self.system_panic(str(error), fl_ctx)
                return
            self._task, self._digest = task, task.digest()
        elif event_type == AppEventType.ROUND_STARTED:
            sites = max(1, len(fl_ctx.get_engine().get_clients()))
            with self._lock:
                self.begin_round(_weights(fl_ctx), sites)
                self._accepted, self._closed = set(), False

    def accept(self, shareable: Shareable, fl_ctx: FLContext) -> bool:
        """Add a contribution, or refuse it with a reason in the log and in the context."""
        site = "unknown"
        try:
            site = str(fl_ctx.get_peer_context().get_identity_name())
            with self._lock:
                if self._task is None or self._closed:
                    raise ValueError("the round is closed")
                if site in self._accepted:
                    raise ValueError("a second contribution in one round")
                self.add(site, read_contribution(shareable, self._task, self._digest, fl_ctx))
                self._accepted.add(site)
        except Exception as error:  # whatever a site sends must not end the round of the others
            reason = plain(str(error)) if isinstance(error, ValueError) else f"unreadable ({type(error).__name__})"
            self.log_warning(fl_ctx, f"contribution of site {site} refused: {reason}")
            fl_ctx.set_prop(Prop.REFUSAL, reason, private=True, sticky=False)
            return False
        return True

    def aggregate(self, fl_ctx: FLContext) -> Shareable:
        """Close the round and give the new global model; an unchanged one where sites are lacking."""
        with self._lock:
            self._closed = True
            accepted = set(self._accepted)
        weights = _weights(fl_ctx)
        round_number = fl_ctx.get_prop(AppConstants.CURRENT_ROUND)
        reason = self.lacking(accepted, fl_ctx)
        if reason:
            self.system_panic(f"round {round_number}: {reason}", fl_ctx)
        fl_ctx.set_prop(Prop.UPDATES, self.notes(), private=True, sticky=False)
        result = DXO(DataKind.WEIGHTS, data=weights) if reason else self.result(weights)
        stats = {
            AggregationStatsKey.ROUND: round_number,
            AggregationStatsKey.CONTRIBUTORS: sorted(accepted),
            AggregationStatsKey.ACCEPTED_CONTRIBUTIONS: len(accepted),
            AggregationStatsKey.KEYS_AGGREGATED: len(weights),
            AggregationStatsKey.KEYS_SEEN: len(weights),
            AggregationStatsKey.FULLY_MATCHED_KEYS: len(weights),
            AggregationStatsKey.PARTIALLY_MATCHED_KEYS: 0,
            AggregationStatsKey.SKIPPED_KEYS: 0,
        }
        fl_ctx.set_prop(AppConstants.AGGREGATION_STATS, stats, private=True, sticky=False)
        return result.to_shareable()

    def reset(self, fl_ctx: FLContext) -> None:
        """Nothing to do: a round opens when it starts."""


def _weights(fl_ctx: FLContext) -> Weights:
    return dict(fl_ctx.get_prop(AppConstants.GLOBAL_MODEL)[ModelLearnableKey.WEIGHTS])
