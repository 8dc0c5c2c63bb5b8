"""The classes that jobs of flareseg may build: what a site's policy lists and a review compares with."""

from __future__ import annotations

CLASS_ALLOW_LIST = (
    "flareseg.flare.server.plain_aggregator.PlainAggregator",
    "flareseg.flare.server.encrypted_aggregator.EncryptedAggregator",
    "flareseg.flare.server.evaluation.GlobalModelEvaluation",
    "flareseg.flare.site.executor.SegmentationExecutor",
    "flareseg.flare.server.persistor.SegmentationModelPersistor",
    "flareseg.flare.server.recorder.RunRecorder",
    "flareseg.flare.server.checkpoint.CheckpointKeeper",
    "flareseg.flare.server.selector.BestModelSelector",
    "flareseg.flare.site.statistics.SiteStatistics",
    "flareseg.flare.site.statistics_executor.SiteStatisticsExecutor",
    "flareseg.flare.server.statistics_controller.SiteStatisticsController",
    "flareseg.flare.server.workflow.SegmentationTraining",
    "nvflare.app_common.shareablegenerators.full_model_shareable_generator.FullModelShareableGenerator",
    "nvflare.app_common.statistics.json_stats_file_persistor.JsonStatsFileWriter",
    "nvflare.app_common.widgets.convert_to_fed_event.ConvertToFedEvent",
    "nvflare.app_common.widgets.job_stats_reporter.JobStatsReporter",
    "nvflare.app_common.widgets.metrics_artifact_writer.MetricsArtifactWriter",
    "nvflare.app_opt.he.model_shareable_generator.HEModelShareableGenerator",
    "nvflare.app_opt.tracking.tb.tb_receiver.TBAnalyticsReceiver",
)
"""Every class that a job of this bundle builds, one by one; it replaces NVFlare's default list."""
