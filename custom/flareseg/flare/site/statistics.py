"""What NVFlare's federated statistics ask of a site, answered from its site.yaml and the job's task.yaml."""

from __future__ import annotations

from pathlib import Path

from nvflare.apis.fl_context import FLContext
from nvflare.app_common.abstract.statistics_spec import Bin, DataType, Histogram, HistogramType, Statistics
from nvflare.app_common.abstract.statistics_spec import Feature as FeatureSpec

from flareseg.config.site import SITE_FILE, check_site_fits, load_site
from flareseg.data import statistics
from flareseg.data.datalist import load_cases
from flareseg.flare.names import job_task
from flareseg.privacy.case_use import CASE_USE_FILE, UsedCase, record_use

DATASET = "all"
"""One data set for all sites: NVFlare asks every site for each, so the modality stands in a feature's name."""


class SiteStatistics(Statistics):
    """A site's features; a record is a patient.

    Counts are numbers of patients. NVFlare's executor asks, and what may leave is decided after it, see
    :class:`flareseg.flare.site.statistics_executor.SiteStatisticsExecutor`.
    """

    def __init__(self) -> None:
        super().__init__()
        self._features: dict[str, statistics.Feature] | None = None

    def read(self, fl_ctx: FLContext) -> None:
        """Measure the site's data, once for all questions of a job.

        Raises:
            FlaresegError: settings or data cannot be used.
        """
        if self._features is not None:
            return
        task = job_task(fl_ctx)
        path = Path(fl_ctx.get_engine().get_workspace().get_site_config_dir()) / SITE_FILE
        site = load_site(path)
        check_site_fits(site, task, path)
        cases = [case for split in load_cases(site.data).values() for case in split]
        root = Path(fl_ctx.get_engine().get_workspace().get_root_dir())
        used = {"statistics": [UsedCase.of(case) for case in cases]}
        record_use(root / CASE_USE_FILE, str(fl_ctx.get_job_id() or ""), task.name, used)
        self._features = statistics.site_features(cases, task, site)
        self.log_info(fl_ctx, f"statistics of {len(cases)} cases ready")

    def _feature(self, name: str) -> statistics.Feature:
        if self._features is None:
            raise RuntimeError("the executor reads the data before any question")
        return self._features[name]

    def features(self) -> dict[str, list[FeatureSpec]]:
        """Names of the features."""
        return {DATASET: [FeatureSpec(name, DataType.FLOAT) for name in self._features or ()]}

    def count(self, dataset_name: str, feature_name: str) -> int:
        """Patients that have the feature."""
        return self._feature(feature_name).patients

    def sum(self, dataset_name: str, feature_name: str) -> float:
        """Sum over cases; of target sizes and intensities, over the patients' means."""
        return self._feature(feature_name).total()

    def min_value(self, dataset_name: str, feature_name: str) -> float:
        """Lower end of the range; noise is added before it leaves."""
        return self._feature(feature_name).range()[0]

    def max_value(self, dataset_name: str, feature_name: str) -> float:
        """Upper end of the range; noise is added before it leaves."""
        return self._feature(feature_name).range()[1]

    def histogram(
        self, dataset_name: str, feature_name: str, num_of_bins: int, global_min_value: float, global_max_value: float
    ) -> Histogram:
        """Histogram over the cases, the targets, or the patients' shares of intensities."""
        bins = self._feature(feature_name).histogram(num_of_bins, global_min_value, global_max_value)
        return Histogram(HistogramType.STANDARD, [Bin(*item) for item in bins])
