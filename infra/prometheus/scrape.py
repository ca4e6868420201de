"""What every backend scrapes, from one list: job names and `service` labels are the design's (section 2.3)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from core.ports import ServiceId
from core.settings import NAME

SCRAPE_INTERVAL_S = 5
TRANSIENT_JOBS = frozenset({"kafka-bot"})
"""Jobs whose target is up only during its phase (design section 6.2)."""

_METRICS_PATH = {
    ServiceId.GATEWAY: "/actuator/prometheus",
    ServiceId.AUTH: "/actuator/prometheus",
    ServiceId.BLOG: "/actuator/prometheus",
    ServiceId.SHOPPING: "/actuator/prometheus",
    ServiceId.NOTIFICATION: "/actuator/prometheus",
}
_SERVICE_LABEL = {
    ServiceId.MYSQL_EXPORTER: "mysql",
    ServiceId.REDIS_EXPORTER: "redis",
    ServiceId.KAFKA_EXPORTER: "kafka",
}
SCRAPED = (
    ServiceId.PROMETHEUS,
    ServiceId.CADVISOR,
    ServiceId.MYSQL_EXPORTER,
    ServiceId.REDIS_EXPORTER,
    ServiceId.KAFKA_EXPORTER,
    ServiceId.GATEWAY,
    ServiceId.AUTH,
    ServiceId.BLOG,
    ServiceId.SHOPPING,
    ServiceId.NOTIFICATION,
    ServiceId.KAFKA_BOT,
)
"""Every service that is scraped where a backend has it; the job is named like the service."""

CONTAINER_NAME_RULES: tuple[Mapping[str, Any], ...] = (
    {"source_labels": ["container_label_com_docker_compose_service"], "regex": "(.+)", "target_label": "name"},
    {"source_labels": ["id"], "regex": rf"/{NAME}-[0-9a-f]{{8}}/([^/]+)", "target_label": "name"},
)
"""The one place that gives container series their `name` (corrections.md 11): compose service, or control group."""


def container_name_rules(containers: Mapping[str, str]) -> list[dict[str, Any]]:
    """`CONTAINER_NAME_RULES`, and one rule for each container (id -> name) that an engine's cAdvisor may not name."""
    known = [
        {"source_labels": ["id"], "regex": f".*{id}.*", "target_label": "name", "replacement": name}
        for id, name in sorted(containers.items(), key=lambda each: each[1])
    ]
    return [*(dict(rule) for rule in CONTAINER_NAME_RULES), *known]


@dataclass(frozen=True)
class ScrapeJob:
    """One job with one target, `host:port`."""

    job: str
    target: str
    service: str
    metrics_path: str = "/metrics"


def metrics_path(service: ServiceId) -> str:
    """Where the service gives its metrics."""
    return _METRICS_PATH.get(service, "/metrics")


def scrape_jobs(endpoints: Mapping[ServiceId, str]) -> tuple[ScrapeJob, ...]:
    """A job for each scraped service among `endpoints` (service -> `host:port`)."""
    return tuple(
        ScrapeJob(
            service,
            endpoints[service],
            _SERVICE_LABEL.get(service, service),
            metrics_path(service),
        )
        for service in SCRAPED
        if service in endpoints
    )


def scrape_config(
    jobs: Iterable[ScrapeJob], rule_files: Iterable[str] = (), containers: Mapping[str, str] | None = None
) -> str:
    """prometheus.yml: every job at `SCRAPE_INTERVAL_S`, with the given rule files; `containers`: id -> name."""
    document = {
        "global": {
            "scrape_interval": f"{SCRAPE_INTERVAL_S}s",
            "scrape_timeout": f"{SCRAPE_INTERVAL_S}s",
            "evaluation_interval": f"{SCRAPE_INTERVAL_S}s",
        },
        "rule_files": list(rule_files),
        "scrape_configs": [job_config(job, containers or {}) for job in jobs],
    }
    return yaml.safe_dump(document, sort_keys=False)


def job_config(job: ScrapeJob, containers: Mapping[str, str] | None = None) -> dict[str, Any]:
    """One entry of `scrape_configs`. `instance` is the job's name: with another port a series stays the same series."""
    labels = {"service": job.service, "instance": job.job}
    config: dict[str, Any] = {
        "job_name": str(job.job),
        "metrics_path": job.metrics_path,
        "static_configs": [{"targets": [job.target]}],
        "relabel_configs": [{"target_label": name, "replacement": str(value)} for name, value in labels.items()],
    }
    if job.job == ServiceId.CADVISOR:
        config["honor_timestamps"] = False  # with cAdvisor's own times a container that is gone lives on for 5 minutes
        config["metric_relabel_configs"] = container_name_rules(containers or {})
    return config
