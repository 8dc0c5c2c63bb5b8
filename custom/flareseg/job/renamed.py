"""Classes that moved: what a job or a site's policy that names the old place should name."""

from __future__ import annotations

_FLARE = "flareseg.flare"

RENAMED = {
    f"{_FLARE}.{old}": f"{_FLARE}.{new}"
    for old, new in {
        "aggregator.FedGSAggregator": "server.plain_aggregator.PlainAggregator",
        "builder.SitePolicyBuilder": "provision.builder.SitePolicyBuilder",
        "certificates.RenewingCertBuilder": "provision.certificates.RenewingCertBuilder",
        "deployer.SiteAppDeployer": "safeguards.deployer.SiteAppDeployer",
        "encryption.EncryptedAggregator": "server.encrypted_aggregator.EncryptedAggregator",
        "evaluation.GlobalModelEvaluation": "server.evaluation.GlobalModelEvaluation",
        "executor.SegmentationExecutor": "site.executor.SegmentationExecutor",
        "gate.JobGate": "safeguards.gate.JobGate",
        "guard.ComponentGuard": "safeguards.guard.ComponentGuard",
        "launcher.SiteJobLauncher": "safeguards.launcher.SiteJobLauncher",
        "ledger.SiteLedger": "site.ledger.SiteLedger",
        "lost_jobs.LostJobs": "safeguards.lost_sites.LostJobs",
        "lost_sites.LostSites": "safeguards.lost_sites.LostSites",
        "persistor.SegmentationModelPersistor": "server.persistor.SegmentationModelPersistor",
        "recorder.RunRecorder": "server.recorder.RunRecorder",
        "refusal_audit.RefusalAudit": "safeguards.refusal_audit.RefusalAudit",
        "resume.CheckpointKeeper": "server.checkpoint.CheckpointKeeper",
        "selector.BestModelSelector": "server.selector.BestModelSelector",
        "server.aggregator.FedGSAggregator": "server.plain_aggregator.PlainAggregator",
        "signature.KitSignatureBuilder": "provision.signature.KitSignatureBuilder",
        "statistics.SiteStatistics": "site.statistics.SiteStatistics",
        "statistics_executor.SiteStatisticsExecutor": "site.statistics_executor.SiteStatisticsExecutor",
        "statistics_flow.SiteStatisticsController": "server.statistics_controller.SiteStatisticsController",
        "stores.KitJobManager": "safeguards.stores.KitJobManager",
        "stores.KitStorage": "safeguards.stores.KitStorage",
        "tls_log.TlsRefusalLog": "safeguards.tls_log.TlsRefusalLog",
        "training.SegmentationTraining": "server.workflow.SegmentationTraining",
    }.items()
}
"""Old class path to the present one."""


def renamed(path: object) -> str:
    """What to say of a class path: empty unless it is one that moved."""
    new = RENAMED.get(path) if isinstance(path, str) else None
    return "" if new is None else f"{path} is now {new}"
