"""Series that say where requests are and what they wait for: totals, from which the judge takes what each moment added.

A timer's total of seconds, by its growth a second, is how many requests were there on average (Little's law); by the
growth of its count it is how long one of them was there. Totals serve a burst as well as an hour: a rate over four
scrapes would spread what lasted a second over twenty. A target that lacks a metric lacks that witness and no more.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

from report.catalogue import SeriesSpec, service_selector
from targets.model import Profile

GROUP = "resources"


def resource_series(profile: Profile) -> tuple[SeriesSpec, ...]:
    """To be collected beside the catalogue."""
    label = profile.metrics.service_label
    chosen = service_selector(profile)
    return (*_requests(profile, chosen), *_timers(label, chosen), *_machine(label, chosen), *_stores(profile))


def _requests(profile: Profile, chosen: str) -> Iterator[SeriesSpec]:
    label, family = profile.metrics.service_label, profile.metrics.http_requests
    load = f"{chosen}, uri!~{json.dumps(profile.metrics.probe_uris)}"
    yield _total(
        "served_total",
        "Requests served in all",
        "count",
        "Requests answered since the service started, by service and status; health and metrics requests left out.",
        f"sum by ({label}, status) ({family}_count{{{load}}})",
    )
    yield _total(
        "served_seconds",
        "Time in the service in all",
        "s",
        "Seconds that requests spent in each service since it started, what they waited for included.",
        f"sum by ({label}) ({family}_sum{{{load}}})",
    )
    yield _total(
        "routed_total",
        "Requests routed in all",
        "count",
        "Requests that the gateway took for a route since it started, by status.",
        f"sum by ({label}, httpStatusCode) (spring_cloud_gateway_requests_seconds_count{{{chosen}}})",
    )


_TIMERS = (
    ("acquire", "hikaricp_connections_acquire_seconds", "pool", "waits for a connection of the pool"),
    ("usage", "hikaricp_connections_usage_seconds", "pool", "uses of a connection of the pool"),
    ("redis_call", "lettuce_command_completion_seconds", "", "Redis commands, as the service waits for them"),
    ("http_call", "http_client_requests_seconds", "client_name", "HTTP requests to others, as the service waits"),
    ("kafka_send", "spring_kafka_template_seconds", "", "events sent, until the broker has acknowledged them"),
    ("listener", "spring_kafka_listener_seconds", "name", "records worked off by each consumer"),
)
"""(id, Micrometer's name, the label kept beside the service, what is timed)."""


def _timers(label: str, chosen: str) -> Iterator[SeriesSpec]:
    for id, metric, kept, what in _TIMERS:
        by = f"{label}, {kept}" if kept else label
        yield _total(
            f"{id}_total",
            f"{what} in all",
            "count",
            f"Number of {what}, since the service started.",
            f"sum by ({by}) ({metric}_count{{{chosen}}})",
        )
        yield _total(
            f"{id}_seconds",
            f"Time of {what}",
            "s",
            f"Seconds of {what}, since the service started.",
            f"sum by ({by}) ({metric}_sum{{{chosen}}})",
        )
    yield _total(
        "acquire_timeouts",
        "Waits for a connection given up",
        "count",
        "Requests that got no connection of the pool in time, since the service started.",
        f"sum by ({label}, pool) (hikaricp_connections_timeout_total{{{chosen}}})",
    )


def _machine(label: str, chosen: str) -> Iterator[SeriesSpec]:
    yield SeriesSpec(
        "machine_cpu",
        GROUP,
        "CPU of the machine",
        "ratio",
        "Share of all processors' time in use on the machine of each service, by whomever.",
        f"max by ({label}) (system_cpu_usage{{{chosen}}})",
    )
    yield SeriesSpec(
        "machine_cpus",
        GROUP,
        "Processors",
        "count",
        "Processors that each service sees.",
        f"max by ({label}) (system_cpu_count{{{chosen}}})",
    )


def _stores(profile: Profile) -> Iterator[SeriesSpec]:
    container = profile.metrics.container_label
    named = f'{container}!=""'
    yield _total(
        "container_cpu_seconds",
        "CPU time by container in all",
        "s",
        "Processor time of each container or control group, from cAdvisor.",
        f"sum by ({container}) (container_cpu_usage_seconds_total{{{named}}})",
    )
    yield SeriesSpec(
        "container_memory_limit",
        GROUP,
        "Memory that a container may use",
        "bytes",
        "Limit of each container or control group, from cAdvisor; 0 is none.",
        f"max by ({container}) (container_spec_memory_limit_bytes{{{named}}})",
    )
    yield SeriesSpec(
        "mysql_running",
        GROUP,
        "Statements under way",
        "count",
        "Threads of the database that execute a statement, the one that asks included.",
        "sum(mysql_global_status_threads_running)",
    )
    yield _total(
        "mysql_statements",
        "Statements in all",
        "count",
        "Statements that the database executed since it started.",
        "sum(mysql_global_status_queries)",
    )
    yield _total(
        "mysql_rows_read",
        "Rows read in all",
        "count",
        "Rows that the database looked at since it started, found or not.",
        'sum(mysql_global_status_handlers_total{handler=~"read_.*"})',
    )
    yield _total(
        "redis_busy_seconds",
        "Time in commands in all",
        "s",
        "Seconds that Redis itself spent in commands since it started: it executes one at a time.",
        "sum(redis_commands_duration_seconds_total)",
    )
    yield _total(
        "consumed_total",
        "Records committed in all",
        "records",
        "Committed offsets of each consumer group and topic, from the Kafka exporter.",
        "sum by (consumergroup, topic) (kafka_consumergroup_current_offset)",
    )


def _total(id: str, title: str, unit: str, definition: str, promql: str) -> SeriesSpec:
    return SeriesSpec(id, GROUP, title, unit, definition, promql)
