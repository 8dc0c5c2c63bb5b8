"""The server's component: checks contributions and sums them as they come."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping

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

from flareseg.aggregation import ExactSum, ServerMomentum, aggregate, mean_scale
from flareseg.aggregation.norm_bound import NormBound, l2_norm
from flareseg.config.task import Task
from flareseg.errors import FlaresegError, plain
from flareseg.flare.names import Prop, job_min_clients, job_task
from flareseg.flare.server.contribution import read_contribution
from flareseg.networks import build_network, local_names


class FedGSAggregator(Aggregator):
    """Step-weighted mean of the sites' updates, with optional server momentum (FedGS, arXiv 2408.11701).

    A contribution is summed on arrival and let go, so memory does not grow with the number of sites; the sum is exact,
    so the order of arrival does not change a bit. A contribution that does not fit is refused with a reason and leaves
    no trace. Below k accepted ones the model stays as it was and the job stops. Nothing here raises: an exception would
    end the round or the job for everybody.
    """

    def __init__(self) -> None:
        super().__init__()
        self._lock = threading.Lock()
        self._task: Task | None = None
        self._digest = ""
        self._parameters: frozenset[str] = frozenset()
        self._momentum = ServerMomentum(0.0)
        self._bound = NormBound(np.inf)
        self._sum: ExactSum | None = None
        self._accepted: dict[str, tuple[int, float]] = {}  # site to steps and mean η
        self._local: frozenset[str] = frozenset()
        self._closed = True

    def handle_event(self, event_type: str, fl_ctx: FLContext) -> None:
        """Read the task at the start of the run, open each round as it starts."""
        if event_type == EventType.START_RUN:
            try:
                task = job_task(fl_ctx)
                network = build_network(task)
                self._local = local_names(network, task)
            except FlaresegError as error:
                self.system_panic(str(error), fl_ctx)
                return
            self._task, self._digest = task, task.digest()
            self._parameters = frozenset(name for name, _ in network.named_parameters())
            self._momentum = ServerMomentum(task.aggregation.server_momentum)
            self._bound = NormBound(task.aggregation.largest_norm)
        elif event_type == AppEventType.ROUND_STARTED:
            weights = fl_ctx.get_prop(AppConstants.GLOBAL_MODEL)[ModelLearnableKey.WEIGHTS]
            shared = {name: value for name, value in weights.items() if name not in self._local}
            sites = len(fl_ctx.get_engine().get_clients())
            with self._lock:
                self._sum, self._accepted, self._closed = ExactSum(shared, max(1, sites), self._parameters), {}, False
                self._bound.open(l2_norm(shared, self._parameters))

    def state(self) -> tuple[dict[str, np.ndarray], list[float]]:
        """What goes from round to round: velocity by parameter name, and norms of the updates accepted last."""
        return self._momentum.state(), self._bound.state()

    def load_state(self, velocity: Mapping[str, np.ndarray], norms: Iterable[float]) -> None:
        """Go on from an earlier :meth:`state`, to the same bits as if the run had not been interrupted."""
        self._momentum.load_state(velocity)
        self._bound.load_state(norms)

    def accept(self, shareable: Shareable, fl_ctx: FLContext) -> bool:
        """Add a contribution, or refuse it with a reason in the log and in the context."""
        site = "unknown"
        try:
            site = str(fl_ctx.get_peer_context().get_identity_name())
            with self._lock:
                self._add(site, shareable, fl_ctx)
        except Exception as error:  # whatever a site sends must not end the round of the others
            reason = plain(str(error)) if isinstance(error, ValueError) else f"unreadable ({type(error).__name__})"
            self.log_warning(fl_ctx, f"contribution of site {site} refused: {reason}")
            fl_ctx.set_prop(Prop.REFUSAL, reason, private=True, sticky=False)
            return False
        return True

    def aggregate(self, fl_ctx: FLContext) -> Shareable:
        """Close the round and give the new global model; below k accepted contributions an unchanged one."""
        with self._lock:
            self._closed = True
            accepted, total = dict(self._accepted), self._sum
            self._sum = None
        round_number = fl_ctx.get_prop(AppConstants.CURRENT_ROUND)
        weights = dict(fl_ctx.get_prop(AppConstants.GLOBAL_MODEL)[ModelLearnableKey.WEIGHTS])
        wanted = job_min_clients(fl_ctx)
        if len(accepted) < wanted or total is None:
            self.system_panic(
                f"round {round_number}: {len(accepted)} contributions accepted "
                f"({', '.join(sorted(accepted)) or 'none'}), {wanted} needed; the model stays as it was",
                fl_ctx,
            )
        else:
            normalize = self._task is not None and self._task.fedgs and self._task.fedgs.normalize == "mean"
            scale = mean_scale(accepted.values()) if normalize else 1.0
            weights = aggregate(weights, total, self._parameters, self._momentum, scale)
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
        return DXO(DataKind.WEIGHTS, data=weights).to_shareable()

    def reset(self, fl_ctx: FLContext) -> None:
        """Nothing to do: a round opens when it starts."""

    def _add(self, site: str, shareable: Shareable, fl_ctx: FLContext) -> None:
        if self._task is None or self._sum is None or self._closed:
            raise ValueError("the round is closed")
        if site in self._accepted:
            raise ValueError("a second contribution in one round")
        contribution = read_contribution(shareable, self._task, self._digest, fl_ctx)
        if not all(isinstance(value, np.ndarray | np.generic) for value in contribution.data.values()):
            raise ValueError("expected NumPy arrays")
        norm = self._sum.add(contribution.data, contribution.steps, self._bound.check)
        self._bound.accepted(norm)
        self._accepted[site] = contribution.steps, contribution.scale
