"""Metrics of NVFlare to a StatsD listener, such as Prometheus' statsd_exporter, where a project asks for it."""

from __future__ import annotations

from typing import Any

COLLECTORS = {
    "system_metrics": "nvflare.metrics.system_metrics_collector.SysMetricsCollector",
    "job_metrics": "nvflare.metrics.job_metrics_collector.JobMetricsCollector",
}


def monitoring_components(name: str, listener: str) -> list[dict[str, Any]]:
    """Give NVFlare's collectors and its StatsD reporter, for a kit's own processes and for each job's.

    What goes out: which of NVFlare's events happened, how often, how long they took, with the participant's name and
    the job's id. Nothing of data or models. Needs ``flareseg[monitoring]`` where the kit runs.

    Args:
        name: of the participant; the label ``site`` of every metric.
        listener: ``host:port`` as the participant's machine reaches it.

    Raises:
        ValueError: the listener is not ``host:port``.
    """
    host, separator, port = listener.rpartition(":")
    if not separator or not host or not port.isdecimal():
        raise ValueError(f"monitoring should be host:port, got {listener!r}")
    reporter = {
        "id": "statsd_reporter",
        "path": "nvflare.fuel_opt.statsd.statsd_reporter.StatsDReporter",
        "args": {"site": name, "host": host, "port": int(port)},
    }
    return [
        *({"id": key, "path": path, "args": {"tags": {"site": name}}} for key, path in COLLECTORS.items()),
        reporter,
    ]
