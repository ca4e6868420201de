"""The series that a run collects: for each its unit, its definition and its PromQL.

k6 (design 4.5), RED per service and USE per process, container and pool (design 5.2), the exporters' core metrics
(design 2.4) and the bot (design 6.1). Labels come from the target profile (corrections.md 16), latencies from
histograms (row 2), ratios stay defined at zero errors (row 12).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import promql_parser

from targets.model import Profile

K6_RATE_WINDOW_S = 10
"""k6 pushes every second (corrections.md 19): ten samples a rate."""
SCRAPES_PER_RATE = 4
"""A rate looks back over four scrapes, so that one missed scrape leaves no gap (Grafana's `$__rate_interval`)."""


Measured = Literal["", "latency", "service time"]
"""Of a duration: as the client sees it, network and queues included, or as the server measures it inside itself."""


@dataclass(frozen=True)
class SeriesSpec:
    """One named series family: a line for each combination of the labels that the query keeps."""

    id: str
    group: str  # one parquet file a group
    title: str
    unit: str  # "1/s", "s", "ratio", "bytes", "records" or "count"
    definition: str
    promql: str
    measures: Measured = ""
    of_histograms: bool = False  # native ones: kept as buckets, without a value that a gate or a plot could take

    @property
    def metrics(self) -> tuple[str, ...]:
        """Names of the metrics that the query reads, each once."""
        return metric_names(self.promql)


def metric_names(promql: str) -> tuple[str, ...]:
    """Metric names in a query, in order of appearance; ValueError where it is not PromQL."""
    names: dict[str, None] = {}

    def note(node: promql_parser.Expr) -> bool:
        if isinstance(node, promql_parser.VectorSelector) and node.name:
            names[node.name] = None
        return True

    promql_parser.walk(promql_parser.parse(promql), note)
    return tuple(names)


def catalogue(profile: Profile, run_id: str, scrape_interval_s: float = 5) -> tuple[SeriesSpec, ...]:
    """Every series of a run against `profile`; rates of scraped counters look back over four scrape intervals."""
    window = f"{max(1, round(SCRAPES_PER_RATE * scrape_interval_s))}s"
    return (
        *_k6(run_id),
        *_services(profile, window),
        *_processes(profile, window),
        *_jvm(profile),
        *_pools(profile),
        *_mysql(window),
        *_redis(window),
        *_kafka(window),
        *_bot(window),
    )


def _quoted(text: str) -> str:
    """A PromQL string literal."""
    return json.dumps(text, ensure_ascii=False)


def _k6(run_id: str) -> Iterator[SeriesSpec]:
    run, window = f"run_id={_quoted(run_id)}", f"{K6_RATE_WINDOW_S}s"
    requests = f"sum by (scenario) (rate(k6_http_reqs_total{{{run}}}[{window}]))"
    failed = f'sum by (scenario) (rate(k6_http_reqs_total{{{run}, expected_response="false"}}[{window}]))'
    latency = f'rate(k6_http_req_duration_seconds{{{run}, expected_response="true"}}[{window}])'
    yield SeriesSpec(
        "k6_requests",
        "k6",
        "Requests sent",
        "1/s",
        f"HTTP requests that k6 completed a second, by scenario, over {window}.",
        requests,
    )
    yield SeriesSpec(
        "k6_failures",
        "k6",
        "Failed requests",
        "1/s",
        f"Requests a second with an answer the script did not expect, by scenario, over {window}; 0 while all is well.",
        f"{failed} or {requests} * 0",
    )
    yield SeriesSpec(
        "k6_latency_p95",
        "k6",
        "Latency p95 by request",
        "s",
        "95 % of expected answers came back faster than this, seen by k6, by request name; from native histograms.",
        f"histogram_quantile(0.95, sum by (name) ({latency}))",
        "latency",
    )
    yield SeriesSpec(
        "k6_vus",
        "k6",
        "Virtual users",
        "count",
        "Active virtual users, by scenario.",
        f"sum by (scenario) (k6_vus{{{run}}})",
    )


def _services(profile: Profile, window: str) -> Iterator[SeriesSpec]:
    label, family = profile.metrics.service_label, profile.metrics.http_requests
    chosen = f"{service_selector(profile)}, uri!~{_quoted(profile.metrics.probe_uris)}"
    requests = f"sum by ({label}) (rate({family}_count{{{chosen}}}[{window}]))"
    errors = f'sum by ({label}) (rate({family}_count{{{chosen}, status=~"5.."}}[{window}]))'
    buckets = f"sum by (le, {label}) (rate({family}_bucket{{{chosen}}}[{window}]))"
    yield SeriesSpec(
        "service_requests",
        "services",
        "Requests served",
        "1/s",
        f"Requests answered a second, by service, over {window}; health and metrics requests left out.",
        requests,
    )
    yield SeriesSpec(
        "service_errors",
        "services",
        "Server errors",
        "1/s",
        f"Answers with a 5xx status a second, by service, over {window}; 0 while all is well.",
        f"{errors} or {requests} * 0",
    )
    for percent in (50, 95, 99):
        yield SeriesSpec(
            f"service_latency_p{percent}",
            "services",
            f"Service time p{percent}",
            "s",
            f"{percent} % of requests were answered faster than this, measured inside each service, over {window}.",
            f"histogram_quantile({percent / 100}, {buckets})",
            "service time",
        )


def _processes(profile: Profile, window: str) -> Iterator[SeriesSpec]:
    service, container = profile.metrics.service_label, profile.metrics.container_label
    chosen, named = service_selector(profile), f'{container}!=""'
    yield SeriesSpec(
        "process_cpu",
        "processes",
        "CPU by service",
        "ratio",
        "Share of the machine's processor time that each service's own process used, as it reports it.",
        f"sum by ({service}) (process_cpu_usage{{{chosen}}})",
    )
    yield SeriesSpec(
        "service_memory",
        "processes",
        "Memory by service",
        "bytes",
        "Memory that each service's own process holds, as it reports it.",
        f"sum by ({service}) ({profile.metrics.memory}{{{chosen}}})",
    )
    yield SeriesSpec(
        "container_cpu",
        "processes",
        "CPU by container",
        "count",
        f"Processor cores used by each container or control group, from cAdvisor, over {window}.",
        f"sum by ({container}) (rate(container_cpu_usage_seconds_total{{{named}}}[{window}]))",
    )
    yield SeriesSpec(
        "container_memory",
        "processes",
        "Memory by container",
        "bytes",
        "Memory in use by each container or control group, page cache included, from cAdvisor.",
        f"sum by ({container}) (container_memory_usage_bytes{{{named}}})",
    )


def _jvm(profile: Profile) -> Iterator[SeriesSpec]:
    """Of services on a JVM; pools without a limit of their own (-1) are left out on both sides."""
    service, heap = profile.metrics.service_label, f'{service_selector(profile)}, area="heap"'
    bounded = f"jvm_memory_max_bytes{{{heap}}} > 0"
    yield SeriesSpec(
        "heap_used",
        "jvm",
        "Heap in use",
        "bytes",
        "Heap in use of each service's JVM.",
        f"sum by ({service}) (jvm_memory_used_bytes{{{heap}}} and {bounded})",
    )
    yield SeriesSpec(
        "heap_max",
        "jvm",
        "Heap at most",
        "bytes",
        "Limit of each service's heap.",
        f"sum by ({service}) ({bounded})",
    )
    yield SeriesSpec(
        "gc_pause_max",
        "jvm",
        "Longest pause of the garbage collector",
        "s",
        "Longest pause of each service's garbage collector in the last minutes, as Micrometer keeps it.",
        f"max by ({service}) (jvm_gc_pause_seconds_max{{{service_selector(profile)}}})",
    )


def _pools(profile: Profile) -> Iterator[SeriesSpec]:
    kept, chosen = f"{profile.metrics.service_label}, pool", service_selector(profile)
    for state, title, meaning in (
        ("active", "Connections in use", "Database connections in use"),
        ("max", "Connections at most", "Size limit of the connection pool"),
        ("pending", "Requests waiting", "Requests that wait for a database connection"),
    ):
        yield SeriesSpec(
            f"pool_{state}",
            "pools",
            title,
            "count",
            f"{meaning}, by service and pool.",
            f"sum by ({kept}) (hikaricp_connections_{state}{{{chosen}}})",
        )


def _mysql(window: str) -> Iterator[SeriesSpec]:
    yield SeriesSpec(
        "mysql_connections",
        "mysql",
        "Open connections",
        "count",
        "Client connections to the database.",
        "sum(mysql_global_status_threads_connected)",
    )
    yield SeriesSpec(
        "mysql_connections_max",
        "mysql",
        "Connections allowed",
        "count",
        "The database's own limit on connections.",
        "sum(mysql_global_variables_max_connections)",
    )
    yield SeriesSpec(
        "mysql_slow_queries",
        "mysql",
        "Slow queries",
        "1/s",
        f"Queries a second above the database's `long_query_time`, over {window}.",
        f"sum(rate(mysql_global_status_slow_queries[{window}]))",
    )
    yield SeriesSpec(
        "mysql_buffer_pool_reads",
        "mysql",
        "Buffer pool misses",
        "1/s",
        f"Reads a second that InnoDB could not answer from memory, over {window}.",
        f"sum(rate(mysql_global_status_innodb_buffer_pool_reads[{window}]))",
    )


def _redis(window: str) -> Iterator[SeriesSpec]:
    for result in ("hits", "misses"):
        yield SeriesSpec(
            f"redis_{result}",
            "redis",
            f"Keyspace {result}",
            "1/s",
            f"Key look-ups a second that were {result}, over {window}.",
            f"sum(rate(redis_keyspace_{result}_total[{window}]))",
        )
    yield SeriesSpec(
        "redis_commands",
        "redis",
        "Commands",
        "1/s",
        f"Commands processed a second, over {window}.",
        f"sum(rate(redis_commands_processed_total[{window}]))",
    )
    yield SeriesSpec(
        "redis_memory",
        "redis",
        "Memory",
        "bytes",
        "Memory that Redis allocated for data.",
        "sum(redis_memory_used_bytes)",
    )
    yield SeriesSpec(
        "redis_memory_max",
        "redis",
        "Memory that Redis may use",
        "bytes",
        "Redis' own limit on its data; 0 is none.",
        "sum(redis_memory_max_bytes)",
    )
    yield SeriesSpec("redis_clients", "redis", "Clients", "count", "Connected clients.", "sum(redis_connected_clients)")


def _kafka(window: str) -> Iterator[SeriesSpec]:
    yield SeriesSpec(
        "kafka_lag",
        "kafka",
        "Consumer lag",
        "records",
        "Records in the log that a consumer group has not committed yet, by group and topic.",
        "sum by (consumergroup, topic) (kafka_consumergroup_lag)",
    )
    yield SeriesSpec(
        "kafka_produced",
        "kafka",
        "Records written",
        "1/s",
        f"Growth of each topic's log, over {window}; Kafka's internal topics left out.",
        f'sum by (topic) (rate(kafka_topic_partition_current_offset{{topic!~"__.*"}}[{window}]))',
    )
    yield SeriesSpec(
        "kafka_brokers", "kafka", "Brokers", "count", "Brokers that the exporter sees.", "max(kafka_brokers)"
    )


def _bot(window: str) -> Iterator[SeriesSpec]:
    for kind, meaning in (("target", "asked for"), ("actual", "reached")):
        yield SeriesSpec(
            f"bot_{kind}_rate",
            "bot",
            f"Rate {meaning}",
            "1/s",
            f"Messages a second that the bot {'was ' if kind == 'target' else ''}{meaning}.",
            f"sum(kafka_bot_{kind}_rate)",
        )
    yield SeriesSpec(
        "bot_sent",
        "bot",
        "Messages acknowledged",
        "1/s",
        f"Messages a second that the broker acknowledged, by topic, over {window}.",
        f"sum by (topic) (rate(kafka_bot_messages_sent_total[{window}]))",
    )


def service_selector(profile: Profile) -> str:
    """What chooses the target's own services among all series."""
    services = "|".join(service.replace(".", r"\.") for service in profile.metrics.services)
    return f"{profile.metrics.service_label}=~{_quoted(services)}"
