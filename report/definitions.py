"""What each line of the report means: in words, the metric behind it, and whether a time is latency or service time.

Latency is what the caller waits: network, queues and the server. Service time is what the server measures inside
itself, so it cannot see who waits in front of it. Counted from the intended start, latency also holds the wait for a
free virtual user (Tene, "How NOT to Measure Latency").
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from report.catalogue import Measured
from report.gate_file import K6_PREFIX
from report.measures import MEASURES
from report.model import GateRow, Report

_OF_CLIENTS = ("k6_", "kafka_bot_")
_SECONDS = ("s", "ms")
_EXPECTED = "http_req_duration{expected_response:true,part:load}"


@dataclass(frozen=True)
class Definition:
    """One line of a table or one plot."""

    line: str
    meaning: str
    metrics: tuple[str, ...]
    unit: str
    measures: Measured = ""


SCENARIO_LINES = (
    Definition(
        "Requests", "HTTP requests of the load; logins of the set-up are left out.", ("http_reqs{part:load}",), ""
    ),
    Definition("Rate", "Requests by the time from the load's start to its end.", ("http_reqs{part:load}",), "1/s"),
    *(
        Definition(
            f"p{percent}",
            f"{percent} % of the expected answers took at most this long, from sending the request to the last byte.",
            (_EXPECTED,),
            "ms",
            "latency",
        )
        for percent in (50, 95, 99)
    ),
    Definition(
        "p95 intended",
        "The same from the moment that the schedule meant: a wait for a free virtual user is in it.",
        ("latency_from_intended",),
        "ms",
        "latency",
    ),
    Definition(
        "Failed",
        "Share of the requests without the answer that the script expects.",
        ("http_req_failed{part:load}",),
        "%",
    ),
    Definition("429", "Answers of the gateway's limiter; no latency is taken of them.", ("http_reqs{status:429}",), ""),
    Definition(
        "Dropped", "Iterations that k6 could not begin, because no virtual user was free.", ("dropped_iterations",), ""
    ),
)
"""Columns of the scenarios table; the metrics are k6's own, from its summary at the end of each script."""

_COMPARED = {
    "p50_ms": (_EXPECTED, "latency"),
    "p95_ms": (_EXPECTED, "latency"),
    "p99_ms": (_EXPECTED, "latency"),
    "p95_intended_ms": ("latency_from_intended", "latency"),
    "service_time_p95_ms": ("service_latency_p95", "service time"),
    "cpu_percent": ("process_cpu", ""),
    "memory_mib": ("service_memory", ""),
    "connections": ("mysql_connections", ""),
    "lag_records": ("kafka_lag", ""),
}
"""Measure -> metric of k6 or series of the catalogue, and what it measures."""


def compared_lines() -> Iterator[Definition]:
    """The figures that runs are compared by."""
    for name, measure in MEASURES.items():
        metric, measures = _COMPARED[name]
        yield Definition(name, measure.title, (metric,), measure.unit, measures)  # type: ignore[arg-type]


def measured_by_gate(report: Report, gate: GateRow) -> Measured:
    """What a gate's figure measures: that of its series, or of k6's own metric."""
    if gate.id.startswith(K6_PREFIX):
        return "latency" if gate.series.startswith("http_req_duration") else ""
    return next((row.measures for row in report.series if row.id == gate.series), "")


def measured_by(metrics: Sequence[str], unit: str) -> Measured:
    """What a duration made of these metrics measures, "" for anything else than a duration."""
    if unit not in _SECONDS or not metrics:
        return ""
    return "latency" if all(name.startswith(_OF_CLIENTS) for name in metrics) else "service time"
