"""Why a query has no data, in words: the metric or label that is missing, and which exporter would give it."""

from __future__ import annotations

from collections.abc import Iterator

from dashboards.prometheus import Prometheus
from dashboards.promql import Selector, selectors

K6 = (
    "k6's remote write: did k6 run, and does Prometheus run with --web.enable-remote-write-receiver "
    "and --enable-feature=native-histograms?"
)
RULES = "the recording rules: does Prometheus load infra/prometheus/rules.yml?"
BUCKETS = (
    "the services' /actuator/prometheus; Spring needs "
    "management.metrics.distribution.percentiles-histogram.http.server.requests=true"
)
SOURCES = (
    ("k6_", K6),
    ("job:", RULES),
    ("container_", "cAdvisor"),
    ("machine_", "cAdvisor"),
    ("mysql_", "mysqld_exporter, whose database account the exporters phase makes: is mysql_up 1?"),
    ("redis_", "redis_exporter"),
    ("kafka_consumergroup_", "kafka_exporter, for a group that has committed an offset"),
    ("kafka_", "kafka_exporter"),
    ("http_server_requests_seconds_bucket", BUCKETS),
    ("", "the services' /actuator/prometheus"),
)
"""Metric prefix -> what exports it; the first that fits."""
SHOWN_VALUES = 6


def why_missing(prometheus: Prometheus, expr: str, at: float) -> str:
    """One sentence a series that `expr` needs and does not find at unix time `at`; VerificationError as Prometheus."""
    causes = list(dict.fromkeys(cause for each in selectors(expr) if (cause := _cause(prometheus, each, at))))
    return "; ".join(causes) or _no_samples(expr)


def source(metric: str) -> str:
    """What exports `metric`."""
    return next(exporter for prefix, exporter in SOURCES if metric.startswith(prefix))


def _cause(prometheus: Prometheus, selector: Selector, at: float) -> str:
    if prometheus.count(str(selector), at):
        return ""
    if not (total := prometheus.count(selector.metric, at)):
        return f"{selector.metric} has no series (given by {source(selector.metric)})"
    return next(_unmatched(prometheus, selector, at), f"no series fits {selector}, of {total} of {selector.metric}")


def _unmatched(prometheus: Prometheus, selector: Selector, at: float) -> Iterator[str]:
    """A sentence for each matcher that alone leaves nothing over."""
    for label, matcher in selector.matchers:
        if prometheus.count(selector.with_only(matcher), at):
            continue
        values = prometheus.label_values(label, selector.metric)
        known = f"is {', '.join(values[:SHOWN_VALUES])}" if values else "is not on any of its series"
        yield f"{selector.metric} has no series with {matcher}: its label '{label}' {known}"


def _no_samples(expr: str) -> str:
    if any(f"{function}(" in expr for function in ("rate", "increase", "deriv")):
        return "its series are there, but with fewer than two samples, or without change, in the interval"
    return "its series are there, but give no number"
