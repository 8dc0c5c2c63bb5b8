"""The client's component for federated statistics: NVFlare's executor, behind the site's own privacy scope."""

from __future__ import annotations

from typing import Any

from nvflare.apis.dxo import DXO, from_shareable
from nvflare.apis.fl_constant import ReturnCode
from nvflare.apis.fl_context import FLContext
from nvflare.apis.shareable import Shareable
from nvflare.apis.signal import Signal
from nvflare.app_common.app_constant import StatisticsConstants as Words
from nvflare.app_common.executors.statistics.statistics_executor import StatisticsExecutor
from nvflare.app_common.filters.statistics_privacy_filter import StatisticsPrivacyFilter
from nvflare.app_common.statistics.histogram_bins_cleanser import HistogramBinsCleanser
from nvflare.app_common.statistics.min_count_cleanser import MinCountCleanser
from nvflare.app_common.statistics.min_max_cleanser import AddNoiseToMinMax
from nvflare.app_common.statistics.statistics_privacy_cleanser import StatisticsPrivacyCleanser
from nvflare.fuel.utils import fobs

from flareseg.errors import ErrorCode, FlaresegError
from flareseg.flare.names import failed_reply
from flareseg.flare.site.privacy import scope_in_force
from flareseg.flare.site.statistics import SiteStatistics
from flareseg.privacy.scopes import FederatedStatistics


class FewPatientsCleanser(MinCountCleanser):
    """NVFlare's minimum count, which takes the count away too: the stock cleanser leaves it in what is sent."""

    def apply(self, statistics: dict[str, Any], client_name: str) -> tuple[dict[str, Any], bool]:
        """Drop every number of a feature that rests on too few records."""
        enough = self.min_count_validate(client_name, statistics)
        before = sum(len(features) for by_dataset in statistics.values() for features in by_dataset.values())
        kept = {
            name: {
                dataset: {feature: value for feature, value in features.items() if enough[dataset][feature]}
                for dataset, features in by_dataset.items()
            }
            for name, by_dataset in statistics.items()
        }
        after = sum(len(features) for by_dataset in kept.values() for features in by_dataset.values())
        return kept, after != before


class SiteStatisticsExecutor(StatisticsExecutor):
    """NVFlare's StatisticsExecutor; its answers leave only through the cleansers that the site's scope sets.

    The job cannot leave them out: they are built here from ``local/privacy.json``, and under any other scope than
    ``statistics`` nothing is answered.

    Args:
        generator_id: id of the :class:`~flareseg.flare.site.statistics.SiteStatistics` component.
    """

    def __init__(self, generator_id: str = "statistics") -> None:
        super().__init__(generator_id)

    def execute(self, task_name: str, shareable: Shareable, fl_ctx: FLContext, abort_signal: Signal) -> Shareable:
        """Answer one task; never raises."""
        try:
            scope = scope_in_force(fl_ctx)
            if not isinstance(scope, FederatedStatistics):
                raise FlaresegError(
                    f"Statistics are answered under the privacy scope {FederatedStatistics.name}, the job asks for "
                    f"{scope.name}.",
                    f'Write "scope": "{FederatedStatistics.name}" into the job\'s meta.json.',
                    code=ErrorCode.SCOPE_MISMATCH,
                )
            generator = fl_ctx.get_engine().get_component(self.generator_id)
            if not isinstance(generator, SiteStatistics):
                raise FlaresegError(
                    f"The component {self.generator_id} is no SiteStatistics.",
                    "Correct config_fed_client.json.",
                    code=ErrorCode.TASK_MISMATCH,
                )
            generator.read(fl_ctx)
            result = super().execute(task_name, shareable, fl_ctx, abort_signal)
            return self._cleanse(result, scope, fl_ctx)
        except FlaresegError as error:
            return self._failure(error, fl_ctx)
        except Exception as error:  # NVFlare would end the site's whole job, and send the trace to the server
            self.log_exception(fl_ctx, "unexpected error")
            return self._failure(
                FlaresegError(
                    f"Unexpected {type(error).__name__}.", "Report the trace above.", code=ErrorCode.INTERNAL
                ),
                fl_ctx,
            )

    def _cleanse(self, result: Shareable, scope: FederatedStatistics, fl_ctx: FLContext) -> Shareable:
        if result.get_return_code() != ReturnCode.OK:
            return result
        dxo = from_shareable(result)
        if Words.STATISTICS_TASK_KEY not in dxo.data:  # the handshake carries nothing
            return result
        few = FewPatientsCleanser(scope.min_patients)
        others: list[StatisticsPrivacyCleanser] = [
            HistogramBinsCleanser(scope.max_bins_percent),
            AddNoiseToMinMax(*scope.noise),
        ]
        cleaned: DXO = StatisticsPrivacyFilter([]).filter_stats_statistics(
            dxo, fl_ctx.get_identity_name(), [few, *others]
        )
        self._forget_features(cleaned)
        return cleaned.update_shareable(result)

    @staticmethod
    def _forget_features(dxo: DXO) -> None:
        """Name no feature whose numbers stay at the site."""
        named = dxo.data.get(Words.STATS_FEATURES)
        if named is None:
            return
        counts = fobs.loads(dxo.data[dxo.data[Words.STATISTICS_TASK_KEY]])[Words.STATS_COUNT]
        kept = {
            dataset: [feature for feature in features if feature.feature_name in counts[dataset]]
            for dataset, features in fobs.loads(named).items()
        }
        dxo.data[Words.STATS_FEATURES] = fobs.dumps(kept)

    def _failure(self, error: FlaresegError, fl_ctx: FLContext) -> Shareable:
        self.log_error(fl_ctx, f"{error.code.value}: {error}")
        return failed_reply(error.code)
