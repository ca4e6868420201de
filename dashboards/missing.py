"""Why a query has no data, in words: the metric or label that is missing, who would give it, and what to do."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches

from core.errors import VerificationError
from dashboards.model import Panel
from dashboards.prometheus import Prometheus
from dashboards.promql import Selector, selectors
from dashboards.variables import SCRAPE_S, choose, fill
from targets.model import Metrics

K6 = "k6_"
RULES = "job:"
K6_DURATIONS = "k6_http_req_duration_seconds"
"""k6's native histogram of answer times."""


@dataclass(frozen=True)
class Source:
    """What exports the metrics whose names start with `prefix`. cure: what to do when none of them is there."""

    prefix: str
    name: str
    cure: str


_SERVICES = "the services' /actuator/prometheus"
BUCKETS = "Spring needs management.metrics.distribution.percentiles-histogram.http.server.requests=true"
_START = "Start it with"
_UP = "is it up, and scraped (Prometheus, Status > Targets)?"
SOURCES = (
    Source(
        K6,
        "k6's remote write",
        "did k6 run, and does Prometheus run with --web.enable-remote-write-receiver and "
        "--enable-feature=native-histograms?",
    ),
    Source(RULES, "the recording rules", "does Prometheus load infra/prometheus/rules.yml?"),
    Source("container_", "cAdvisor", _UP),
    Source("machine_", "cAdvisor", _UP),
    Source("mysql_", "mysqld_exporter, whose database account the exporters phase makes", "is mysql_up 1?"),
    Source("redis_", "redis_exporter", _UP),
    Source("kafka_consumergroup_", "kafka_exporter, for a group that has committed an offset", _UP),
    Source("kafka_", "kafka_exporter", _UP),
    Source("http_server_", _SERVICES, _UP),
    Source("hikaricp_", _SERVICES, _UP),
    Source("jvm_", _SERVICES, "a service outside of the JVM has none"),
    Source("process_", _SERVICES, _UP),
    Source("", _SERVICES, _UP),
)
"""The first whose prefix fits."""
RECORDED_FROM_BUCKETS = re.compile(r"job:(http_latency_p\d|latency_sli)")
"""Recording rules that give nothing while requests have no buckets."""
SHOWN_VALUES = 6
SHOWN_NAMES = 3
ALIKE = 0.8
"""How much of two names must agree for one to look like the other renamed (difflib's ratio)."""


def why_missing(prometheus: Prometheus, expr: str, at: float) -> str:
    """One sentence a series that `expr` needs and does not find at unix time `at`; VerificationError as Prometheus."""
    causes = list(dict.fromkeys(cause for each in selectors(expr) if (cause := _cause(prometheus, each, at))))
    return "; ".join(causes) or _no_samples(expr)


def never_fed(prometheus: Prometheus, expr: str, at: float) -> Mapping[str, str]:
    """As `why_missing`, but of metrics of which no selector fits a series: what no load will bring. Metric -> why.

    Without any 5xx the selector of errors finds nothing, and nothing is wrong. A recording rule beside others that have
    series has nothing to say yet.
    """
    of_metric: dict[str, list[Selector]] = {}
    for each in selectors(expr):
        of_metric.setdefault(each.metric, []).append(each)
    lacking = {
        metric: own[0]
        for metric, own in of_metric.items()
        if not any(prometheus.count(str(each), at) for each in own) and not _is_a_rule_to_come(prometheus, metric, at)
    }
    causes = {metric: _cause(prometheus, first, at) for metric, first in lacking.items()}
    return {metric: cause.removeprefix(f"{metric} has ") for metric, cause in causes.items() if cause}


def _is_a_rule_to_come(prometheus: Prometheus, metric: str, at: float) -> bool:
    return metric.startswith(RULES) and bool(prometheus.count(f'{{__name__=~"{RULES}.+"}}', at))


def source(metric: str) -> Source:
    """What exports `metric`."""
    return next(each for each in SOURCES if metric.startswith(each.prefix))


def fed_only_by(panel: Panel, metrics: Metrics, prefixes: Collection[str]) -> bool:
    """True where every metric of the panel's queries begins with one of `prefixes`."""
    values = choose(metrics)
    queries = [fill(target.expr, values, SCRAPE_S) for target in panel.targets]
    names = [each.metric for query in queries for each in selectors(query)]
    return bool(prefixes) and all(name.startswith(tuple(prefixes)) for name in names)


def _cause(prometheus: Prometheus, selector: Selector, at: float) -> str:
    if prometheus.count(str(selector), at):
        return ""
    if not (total := prometheus.count(selector.metric, at)):
        return _absent(prometheus, selector.metric, at)
    return next(_unmatched(prometheus, selector, at), f"no series fits {selector}, of {total} of {selector.metric}")


def _absent(prometheus: Prometheus, metric: str, at: float) -> str:
    """No series has this name: its source is gone, or gives another name."""
    given_by = source(metric)
    if RECORDED_FROM_BUCKETS.match(metric) and _counts_without_buckets(prometheus, at):
        return f"{metric} is recorded from buckets, and requests are counted without: {BUCKETS}"
    said = f"{metric} has no series (given by {given_by.name}"
    siblings = (
        prometheus.label_values("__name__", f'{{__name__=~"{given_by.prefix}.+"}}', at) if given_by.prefix else []
    )
    if not siblings:
        flag = _flag_for_k6(prometheus) if given_by.prefix == K6 else ""
        return f"{said}: {flag or given_by.cure})"
    if metric == K6_DURATIONS:
        return f"{said}, whose other series are there: {_without_histogram(siblings)})"
    if metric.endswith("_bucket") and f"{metric.removesuffix('_bucket')}_count" in siblings:
        return f"{said}, which count requests without buckets: {BUCKETS})"
    like = get_close_matches(metric, siblings, n=SHOWN_NAMES, cutoff=ALIKE)
    if like:
        return f"{said}, which gives {', '.join(like)}: if it was renamed, correct dashboards/queries.py)"
    return f"{said}, whose other series are there: does this version still give it?)"


def _counts_without_buckets(prometheus: Prometheus, at: float) -> bool:
    names = prometheus.label_values("__name__", '{__name__=~"http_server_requests_seconds_(bucket|count)"}', at)
    return bool(names) and not any(name.endswith("_bucket") for name in names)


def _flag_for_k6(prometheus: Prometheus) -> str:
    """The flag that Prometheus was started without, though k6 needs it to be heard at all; "" where it has both.

    What only speaks Prometheus' query language (Thanos, Mimir) has no flags to show.
    """
    try:
        flags = prometheus.flags()
    except VerificationError:
        return ""
    if flags.get("web.enable-remote-write-receiver") == "false":
        return f"Prometheus takes no remote write. {_START} --web.enable-remote-write-receiver"
    if "native-histograms" not in flags.get("enable-feature", "native-histograms"):
        return f"Prometheus refuses what comes with a native histogram. {_START} --enable-feature=native-histograms"
    return ""


def _without_histogram(k6_metrics: list[str]) -> str:
    """k6 writes, but not this native histogram."""
    plain = [name for name in k6_metrics if name.startswith(K6_DURATIONS)]
    if plain:
        setting = "K6_PROMETHEUS_RW_TREND_AS_NATIVE_HISTOGRAM=true"
        return f"k6 wrote {', '.join(plain[:SHOWN_NAMES])} instead. Set {setting} in its environment"
    return f"Prometheus takes no native histograms. {_START} --enable-feature=native-histograms"


def _unmatched(prometheus: Prometheus, selector: Selector, at: float) -> Iterator[str]:
    """A sentence for each matcher that alone leaves nothing over."""
    for label, matcher in selector.matchers:
        if prometheus.count(selector.with_only(matcher), at):
            continue
        values = prometheus.label_values(label, selector.metric, at)
        known = f"is {', '.join(values[:SHOWN_VALUES])}" if values else "is not on any of its series"
        said = f"{selector.metric} has no series with {matcher}: its label '{label}' {known}"
        yield said + _other_dialect(prometheus, selector.metric, label, matcher, at)


def _other_dialect(prometheus: Prometheus, metric: str, label: str, matcher: str, at: float) -> str:
    """Where another label holds what was asked for, the key of the target profile that names the label."""
    asked = matcher.removeprefix(label)
    if asked.startswith("!") or metric.startswith((K6, RULES)):
        return ""
    others = [each for each in prometheus.label_names(metric, at) if each not in (label, "__name__")]
    fitting = [each for each in others if prometheus.count(f"{metric}{{{each}{asked}}}", at)]
    if not fitting:
        return ""
    key = "container_label" if metric.startswith("container_") else "service_label"
    return f", but '{fitting[0]}' fits. Set metrics.{key}: {fitting[0]} in the target profile"


def _no_samples(expr: str) -> str:
    if any(f"{function}(" in expr for function in ("rate", "increase", "deriv")):
        return "its series are there, but with fewer than two samples, or without change, in the interval"
    return "its series are there, but give no number"
