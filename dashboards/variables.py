"""The dashboards' variables, and how Grafana fills them into a query.

Grafana's own rules (Prometheus data source, "Template variables"): several values become `(a|b)` with
regular-expression characters escaped, All becomes the variable's `allValue` as it stands, and `$__rate_interval` is
max($__interval + scrape interval, 4 * scrape interval).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from core.errors import ConfigError
from targets.model import Metrics

INTERVALS = ("1m", "5m", "15m")
"""Choices of `$interval`, the design's (section 5.3); the first is the default."""
SCRAPE_S = 5.0
"""Scrape interval of the suite's Prometheus (infra/prometheus), told to Grafana as timeInterval."""
DRAWN_POINTS = 240
"""Points a series when a panel is drawn a third of a page wide."""

_REFERENCE = re.compile(r"\$(?:\{(\w+)(?::\w+)?\}|(\w+))|\[\[(\w+)\]\]")
_SPECIAL = re.compile(r"[$^*{}\[\]'+?.()|]")
_STEPS_S = (1, 2, 5, 10, 15, 20, 30, 60, 120, 300, 600, 900, 1200, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400)
"""Grafana's nice intervals from a second to a day."""


@dataclass(frozen=True)
class Variable:
    """A drop-down that is filled from Prometheus; All stands for `all_value`."""

    name: str
    label: str
    query: str
    all_value: str


def variables(metrics: Metrics) -> tuple[Variable, ...]:
    """`service`, `run_id` and `scenario`; `interval` is a list of its own (INTERVALS)."""
    services = any_of(metrics.services)
    requests = f'{metrics.http_requests}_count{{{metrics.service_label}=~"{services}"}}'
    return (
        Variable("service", "Service", f"label_values({requests}, {metrics.service_label})", services),
        Variable("run_id", "Run", "label_values(k6_http_reqs_total, run_id)", ".*"),
        Variable("scenario", "Scenario", 'label_values(k6_http_reqs_total{run_id=~"$run_id"}, scenario)', ".*"),
    )


def choose(
    metrics: Metrics,
    *,
    run_id: str | None = None,
    scenarios: Sequence[str] = (),
    services: Sequence[str] = (),
    interval: str = INTERVALS[0],
) -> dict[str, str]:
    """What each variable stands for when a person chooses these values; nothing chosen is All."""
    chosen = {"service": services, "run_id": [run_id] if run_id else (), "scenario": scenarios}
    filled = {each.name: any_of(chosen[each.name]) or each.all_value for each in variables(metrics)}
    return {**filled, "interval": interval}


def any_of(values: Sequence[str]) -> str:
    """A regular expression for exactly `values`, escaped as Grafana does inside a PromQL string; "" for none."""
    escaped = [_SPECIAL.sub(r"\\\\\g<0>", value) for value in values]
    return escaped[0] if len(escaped) == 1 else f"({'|'.join(escaped)})" if escaped else ""


def fill(expr: str, values: Mapping[str, str], step_s: float, scrape_s: float = SCRAPE_S) -> str:
    """`expr` with every `$name`, `${name}` and `[[name]]` filled in, `$__interval` and `$__rate_interval` included.

    Groups of label_replace (`$1`) stay. ConfigError for a variable that neither Grafana nor the dashboards have.
    """
    known = {
        **values,
        "__interval": duration(step_s),
        "__rate_interval": duration(rate_interval_s(step_s, scrape_s)),
    }
    return _REFERENCE.sub(lambda match: _value(match, known), expr)


def rate_interval_s(step_s: float, scrape_s: float = SCRAPE_S) -> float:
    """Grafana's documented `$__rate_interval`: at least four scrapes, and never a gap between two points."""
    return max(step_s + scrape_s, 4 * scrape_s)


def step_s(range_s: float, points: int = DRAWN_POINTS, at_least_s: float = SCRAPE_S) -> float:
    """Grafana's `$__interval` for a panel `points` wide: a nice number of seconds, not below `at_least_s`."""
    wanted = max(range_s / points, at_least_s)
    return float(next((step for step in _STEPS_S if step >= wanted), _STEPS_S[-1]))


def duration(seconds: float) -> str:
    """A PromQL duration, in milliseconds only where it must be."""
    return f"{seconds:.0f}s" if seconds == int(seconds) else f"{seconds * 1000:.0f}ms"


def _value(match: re.Match[str], known: Mapping[str, str]) -> str:
    name = next(filter(None, match.groups()))
    if name.isdigit():
        return match[0]
    if name not in known:
        raise ConfigError(f"unknown variable ${name}", where=match.string, cure=f"Known: {', '.join(sorted(known))}.")
    return known[name]
