"""Load Test Overview: what k6 sends and gets, and what that does to services and stores (design 5.1, 4 x 3 panels)."""

from __future__ import annotations

from dashboards.model import Dashboard, Panel, Target, Traffic, page
from dashboards.objectives import FAILED_RATIO, LAG_RECORDS, LATENCY_P95_S, LATENCY_P99_S
from dashboards.panels import gauge, heatmap, stat, timeseries
from dashboards.queries import Queries
from targets.model import Metrics

UID = "load-test-overview"
NAME = "{{name}}"


def load_test_overview(metrics: Metrics) -> Dashboard:
    q = Queries(metrics)
    return page(
        UID,
        "Load Test Overview",
        "The load as k6 sees it, and beside it the services and stores that carry it.",
        rows=(_load(q), _latency(q), _services(q), _stores(q)),
    )


def is_k6(panel: Panel) -> bool:
    """True for the panels that show what k6 measured."""
    return panel.dashboard == UID and panel.title.startswith("k6: ")


def _load(q: Queries) -> tuple[Panel, ...]:
    return (
        gauge(
            "k6: Total RPS",
            "Requests per second that k6 sends, over all chosen scenarios, as the mean of the chosen interval.",
            "reqps",
            (Target(q.k6_request_rate(), "requests"),),
        ),
        stat(
            "k6: Error Rate",
            "Share of requests whose answer was not an expected one. A refusal by the rate limiter (429) counts "
            "here; a coupon that is sold out does not. 0 % when there are no errors.",
            "percentunit",
            (Target(q.k6_error_ratio(), "errors"),),
            thresholds=FAILED_RATIO,
            live=False,
        ),
        timeseries(
            "k6: Active VUs",
            "Virtual users at work, by scenario.",
            "short",
            (Target(q.k6_virtual_users(), "{{scenario}}"),),
            live=False,
        ),
    )


def _latency(q: Queries) -> tuple[Panel, ...]:
    return (
        heatmap(
            "k6: Response Time",
            "How many requests per second took how long: the stronger a cell's colour, the more. "
            "Refusals by the rate limiter (429) are left out.",
            "s",
            Target(q.k6_durations(), ""),
        ),
        timeseries(
            "k6: p95 Latency per endpoint",
            "95 of 100 requests were answered faster than this, by request name. Refusals (429) are left out. "
            "The lines are the strictest objective (50 ms) and the loosest (500 ms).",
            "s",
            (Target(q.k6_latency_by_endpoint(0.95), NAME),),
            live=False,  # a percentile of a steady target may stay in its bucket
            thresholds=LATENCY_P95_S,
            traces_of="",
        ),
        timeseries(
            "k6: p99 Latency per endpoint",
            "99 of 100 requests were answered faster than this, by request name. Refusals (429) are left out. "
            "The line is the objective of scenarios A and C (500 ms).",
            "s",
            (Target(q.k6_latency_by_endpoint(0.99), NAME),),
            live=False,  # a percentile of a steady target may stay in its bucket
            thresholds=LATENCY_P99_S,
            traces_of="",
        ),
    )


def _services(q: Queries) -> tuple[Panel, ...]:
    return (
        timeseries(
            "CPU: Per Service",
            "CPU cores in use, from each service's container (cAdvisor); where it has none, from the process.",
            "short",
            (Target(q.cpu_cores(), NAME),),
        ),
        timeseries(
            "Memory: Per Service",
            "Memory in use, from each service's container (cAdvisor); where it has none, the process's resident "
            "set or what its JVM uses.",
            "bytes",
            (Target(q.memory_bytes(), NAME),),
            live=False,
        ),
        timeseries(
            "Network I/O",
            "Bytes per second in and out, by service (cAdvisor). Services that share the host's network have no "
            "series of their own: the lines are then the host's interfaces and say so; loopback is not counted.",
            "Bps",
            (
                Target(q.network_bytes("receive"), f"{NAME} in"),
                Target(q.network_bytes("transmit"), f"{NAME} out"),
            ),
            live=False,
        ),
    )


def _stores(q: Queries) -> tuple[Panel, ...]:
    return (
        timeseries(
            "MySQL: Active Connections",
            "Connections open, those running a statement, and the server's limit.",
            "short",
            (
                Target(q.mysql("status_threads_connected"), "connected"),
                Target(q.mysql("status_threads_running"), "running"),
                Target(q.mysql("variables_max_connections"), "limit"),
            ),
            live=False,
        ),
        timeseries(
            "Redis: Hit Rate & Memory",
            "Share of key look-ups that found their key (left; while nothing is looked up, the share since Redis "
            "started) and memory in use (right).",
            "percentunit",
            (
                Target(q.redis_hit_ratio(), "hit rate"),
                Target(q.redis_memory_used_bytes(), "memory", unit="bytes"),
            ),
            live=False,
        ),
        timeseries(
            "Kafka: Consumer Lag",
            "Records that a consumer group has not yet read, by topic. A group shows once it has committed an offset. "
            "The lines are the platform's alert (1,000) and the objective (10,000).",
            "short",
            (Target(q.kafka_lag(), "{{consumergroup}} {{topic}}"),),
            live=False,
            needs=Traffic.EVENTS,
            thresholds=LAG_RECORDS,
        ),
    )
