"""`exporter-metrics`: every exporter answers with the metrics of design section 2.4, at plausible values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import httpx
from prometheus_client.parser import text_string_to_metric_families

from core.checks import Check, check, passed_if
from core.http import http_client
from core.ports import Endpoints, ServiceId
from core.waiting import wait_for
from core.words import Verdict


@dataclass(frozen=True)
class Expected:
    """One series family of design section 2.4; its greatest sample is at least `at_least`."""

    name: str
    at_least: float = 0.0


EXPECTED: Mapping[ServiceId, tuple[Expected, ...]] = {
    ServiceId.CADVISOR: (
        Expected("container_cpu_usage_seconds_total", 0.001),
        Expected("container_memory_usage_bytes", 1_000_000),
        Expected("container_network_receive_bytes_total"),
    ),
    ServiceId.MYSQL_EXPORTER: (
        Expected("mysql_up", 1),
        Expected("mysql_global_status_threads_connected", 1),
        Expected("mysql_global_status_slow_queries"),
        Expected("mysql_global_status_innodb_buffer_pool_reads", 1),
        Expected("mysql_global_variables_max_connections", 1),
    ),
    ServiceId.REDIS_EXPORTER: (
        Expected("redis_up", 1),
        Expected("redis_keyspace_hits_total"),
        Expected("redis_keyspace_misses_total"),
        Expected("redis_memory_used_bytes", 100_000),
        Expected("redis_commands_processed_total", 1),
        Expected("redis_connected_clients", 1),
    ),
    ServiceId.KAFKA_EXPORTER: (
        Expected("kafka_brokers", 1),
        Expected("kafka_topic_partition_current_offset"),
        Expected("kafka_consumergroup_lag"),
    ),
}
"""Exporter -> what it must answer. `mysql_up` and `redis_up` are added: without them the rest may be stale."""

CURES: Mapping[ServiceId, str] = {
    ServiceId.MYSQL_EXPORTER: "Is the exporter's database account there? `make stack-reset` makes a new database.",
    ServiceId.CADVISOR: "Can control groups be written here? See README, 'Control groups'.",
    ServiceId.REDIS_EXPORTER: "Look at logs/redis-exporter.log.",
    ServiceId.KAFKA_EXPORTER: "Look at logs/kafka-exporter.log; a group shows once it has committed an offset.",
}


def exporter_metrics_check(endpoints: Endpoints, timeout_s: float = 30.0) -> Check:
    """Ask each exporter until its metrics are plausible, at most `timeout_s` in all."""
    named = {exporter: metrics for exporter, metrics in EXPECTED.items() if exporter in endpoints}
    if not named:
        return check("exporter-metrics", Verdict.SKIPPED, "the profile names no exporter")
    findings = wait_for(
        lambda: {exporter: _lacks(exporter, endpoints) for exporter in named},
        lambda seen: not any(seen.values()),
        timeout_s,
        every_s=1.0,
    )
    bad = {exporter.value: lacks for exporter, lacks in findings.items() if lacks}
    if not bad:
        return passed_if(
            "exporter-metrics",
            True,
            f"{len(named)} exporters answered 200 with all {sum(map(len, named.values()))} metrics"
            + _not_named(set(EXPECTED) - set(named)),
            exporters={name.value: [metric.name for metric in metrics] for name, metrics in named.items()},
        )
    sentences = [f"{name}: {', '.join(lacks)}. {CURES[ServiceId(name)]}" for name, lacks in bad.items()]
    return check("exporter-metrics", Verdict.FAIL, " ".join(sentences), lacking=bad)


def _not_named(exporters: Iterable[ServiceId]) -> str:
    names = ", ".join(sorted(exporters))
    return f"; not named in the profile: {names}" if names else ""


def _lacks(exporter: ServiceId, endpoints: Endpoints) -> list[str]:
    """What is wrong with one exporter's answer, as short sentences; empty when all is there."""
    url = endpoints.url(exporter, "/metrics")
    try:
        with http_client() as client:
            answer = client.get(url)
    except httpx.HTTPError as error:
        return [f"{url} does not answer ({type(error).__name__})"]
    if answer.status_code != httpx.codes.OK:
        return [f"{url} answered {answer.status_code}"]
    return list(_implausible(EXPECTED[exporter], _greatest_samples(answer.text)))


def _greatest_samples(text: str) -> dict[str, float]:
    greatest: dict[str, float] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            greatest[sample.name] = max(sample.value, greatest.get(sample.name, float("-inf")))
    return greatest


def _implausible(expected: Iterable[Expected], seen: Mapping[str, float]) -> Iterable[str]:
    for metric in expected:
        if metric.name not in seen:
            yield f"{metric.name} is missing"
        elif not seen[metric.name] >= metric.at_least:
            yield f"{metric.name} is {seen[metric.name]:g}, at least {metric.at_least:g} expected"
