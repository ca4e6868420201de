"""Bottleneck Detection: RED and USE by service, then pools, Redis and Kafka (design 5.2, 1 + 5 x 3 panels)."""

from __future__ import annotations

from dashboards.model import Dashboard, Panel, Target, Traffic, page
from dashboards.objectives import LAG_RECORDS, MEMORY_RATIO, POOL_TIMEOUTS, SERVER_ERROR_RATIO, SERVICE_LATENCY_S
from dashboards.panels import heatmap, stat, timeseries
from dashboards.queries import QUANTILES, Queries
from targets.model import Metrics

UID = "bottleneck-detection"


def bottleneck_detection(metrics: Metrics) -> Dashboard:
    q = Queries(metrics)
    return page(
        UID,
        "Bottleneck Detection",
        "Which part gives way first: rate, errors and duration of each service, then what it runs on.",
        rows=(
            (
                heatmap(
                    "Service Latency Heatmap",
                    "p95 answer time of each service over the last 5 minutes, from the recording rule "
                    "job:http_latency_p95:rate5m: the stronger the colour, the slower.",
                    "s",
                    Target(q.latency_p95_by_job(), "{{job}}"),
                ),
            ),
            _red(q),
            _use(q),
            _pools(q),
            _redis(q),
            _kafka(q),
        ),
    )


def _red(q: Queries) -> tuple[Panel, ...]:
    by_service = _label(q.metrics.service_label)
    return (
        timeseries(
            "RED: Request Rate per Service",
            "Requests per second that each service answers; health and metrics probes are left out.",
            "reqps",
            (Target(q.request_rate(), by_service),),
            traces_of=q.metrics.service_label,
        ),
        timeseries(
            "RED: Error Rate per Service",
            "Share of answers with a 5xx status. 0 % when there are none. The line is the objective (0.1 %).",
            "percentunit",
            (Target(q.error_ratio(), by_service),),
            live=False,
            thresholds=SERVER_ERROR_RATIO,
            traces_of=q.metrics.service_label,
        ),
        timeseries(
            "RED: Duration p50/p95/p99",
            "Half, 95 and 99 of 100 requests were answered faster than this, over the chosen services. The lines are "
            "the platform's alerts on p95 (500 ms) and p99 (1 s).",
            "s",
            tuple(Target(q.latency(quantile), f"p{quantile * 100:.0f}") for quantile in QUANTILES),
            thresholds=SERVICE_LATENCY_S,
            traces_of="",
        ),
    )


def _use(q: Queries) -> tuple[Panel, ...]:
    return (
        timeseries(
            "USE: CPU Utilization",
            "Share of the CPU that a service may use: of its container's quota, else of the whole machine.",
            "percentunit",
            (Target(q.cpu_utilization(), "{{name}}"),),
        ),
        timeseries(
            "USE: Memory Saturation",
            "Share of the memory that a service may use: of its container's limit, else of its JVM heap's, else of the "
            "machine. The lines are the platform's alerts (85 % and 95 %).",
            "percentunit",
            (Target(q.memory_saturation(), "{{name}}"),),
            live=False,
            thresholds=MEMORY_RATIO,
        ),
        timeseries(
            "USE: Network Errors",
            "Network errors per second by service; where services share the host's network, by interface of the host.",
            "cps",
            (
                Target(q.network_errors("receive"), "{{name}} in"),
                Target(q.network_errors("transmit"), "{{name}} out"),
            ),
            live=False,
        ),
    )


def _pools(q: Queries) -> tuple[Panel, ...]:
    pool = f"{_label(q.metrics.service_label)} {{{{pool}}}}"
    return (
        timeseries(
            "DB Pool: Active vs Max",
            "Connections of each pool: in use on average over the interval, in use and waited for at the moment of the "
            "scrape, and the most there may be.",
            "short",
            (
                Target(q.pool_mean_in_use(), f"{pool} in use (mean)"),
                Target(q.pool_connections("active"), f"{pool} active"),
                Target(q.pool_connections("pending"), f"{pool} pending"),
                Target(q.pool_connections("max"), f"{pool} max"),
            ),
        ),
        timeseries(
            "DB Pool: Wait Time",
            "Mean time that a request waits for a connection. 0 while none is asked for.",
            "s",
            (Target(q.pool_wait_s(), pool),),
            traces_of=q.metrics.service_label,
        ),
        stat(
            "HikariCP: Timeout Count",
            "Waits for a connection that were given up within the last 5 minutes.",
            "short",
            (Target(q.pool_timeouts(), pool),),
            thresholds=POOL_TIMEOUTS,
            live=False,
        ),
    )


def _redis(q: Queries) -> tuple[Panel, ...]:
    return (
        timeseries(
            "Redis: Ops/sec by command",
            "Commands per second, by command.",
            "ops",
            (Target(q.redis_operations(), "{{cmd}}"),),
        ),
        timeseries(
            "Redis: Eviction Rate",
            "Keys per second that Redis threw away for want of memory.",
            "cps",
            (Target(q.redis_evictions(), "evicted"),),
            live=False,
        ),
        timeseries(
            "Redis: Memory vs maxmemory",
            "Memory in use and the most that Redis may use; a maxmemory of 0 means no limit.",
            "bytes",
            (
                Target(q.redis_memory_used_bytes(), "used"),
                Target(q.redis_memory_max_bytes(), "maxmemory"),
            ),
            live=False,
        ),
    )


def _kafka(q: Queries) -> tuple[Panel, ...]:
    return (
        timeseries(
            "Kafka: Produce Rate",
            "Records per second appended to each topic.",
            "cps",
            (Target(q.kafka_produced(), "{{topic}}"),),
            needs=Traffic.EVENTS,
        ),
        timeseries(
            "Kafka: Consume Rate",
            "Records per second that each consumer group has read and committed.",
            "cps",
            (Target(q.kafka_consumed(), "{{consumergroup}}"),),
            needs=Traffic.EVENTS,
        ),
        timeseries(
            "Kafka: Lag Trend",
            "Records not yet read (left) and how fast that number grows (right; below 0 it drains). The lines are the "
            "platform's alert (1,000) and the objective (10,000).",
            "short",
            (
                Target(q.kafka_lag(), "{{consumergroup}} {{topic}}"),
                Target(q.kafka_lag_growth(), "{{consumergroup}} {{topic}} growth", unit="cps"),
            ),
            live=False,
            needs=Traffic.EVENTS,
            thresholds=LAG_RECORDS,
        ),
    )


def _label(name: str) -> str:
    return f"{{{{{name}}}}}"
