"""Metrics of NVFlare to a StatsD listener, such as Prometheus' statsd_exporter, where a project asks for it."""

from __future__ import annotations

from typing import Any

Resources = dict[str, Any]


def monitored(resources: Resources, name: str, listener: str) -> Resources:
    """Add NVFlare's collectors and its StatsD reporter to a kit's resources, for its own processes and each job's.

    What goes out: which of NVFlare's events happened, how often, how long they took, with the participant's name and
    the job's id. Nothing of data or models. Needs ``flareseg[monitoring]`` where the kit runs.

    Args:
        resources: changed in place.
        name: of the participant; the label ``site`` of every metric.
        listener: ``host:port`` as the participant's machine reaches it.

    Raises:
        ValueError: the listener is not ``host:port``.
    """
    host, separator, port = listener.rpartition(":")
    if not separator or not host or not port.isdecimal():
        raise ValueError(f"monitoring should be host:port, got {listener!r}")
    tags = {"site": name}
    collectors = {
        "system_metrics": "nvflare.metrics.system_metrics_collector.SysMetricsCollector",
        "job_metrics": "nvflare.metrics.job_metrics_collector.JobMetricsCollector",
    }
    resources["components"] += [
        {"id": key, "path": path, "args": {"tags": dict(tags)}} for key, path in collectors.items()
    ]
    resources["components"].append(
        {
            "id": "statsd_reporter",
            "path": "nvflare.fuel_opt.statsd.statsd_reporter.StatsDReporter",
            "args": {"site": name, "host": host, "port": int(port)},
        }
    )
    return resources
