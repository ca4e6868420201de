"""What the HTML report draws: lines thinned for the eye, from collected series.

A figure is plain data (JSON); `templates/report.js` gives it the page's colours. Thinning keeps each bucket's lowest
and highest value, so that a spike survives, and gaps stay gaps.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from report.catalogue import Measured
from report.prometheus import Line
from report.store import Collected

POINTS_MAX = 800
"""Points a line after thinning: about one a pixel of the widest plot."""
GAP_STEPS = 2.5
"""A hole longer than this many typical steps is drawn as a hole."""
LINES_MAX = 12
"""Lines a plot; with more, the largest are drawn and the plot says so."""


@dataclass(frozen=True)
class Trace:
    """One line: epoch milliseconds, values (None where there is a hole), and its unit where it has one of its own.

    highest and newest, for people, stand in a panel's legend.
    """

    name: str
    x: list[int | None]
    y: list[float | None]
    unit: str = ""
    highest: str = ""
    newest: str = ""


@dataclass(frozen=True)
class Grid:
    """Place in a dashboard's 24 columns."""

    x: int
    w: int


@dataclass(frozen=True)
class Limit:
    """A threshold: its value, its colour, and the value for people."""

    above: float
    colour: str
    text: str


@dataclass(frozen=True)
class Number:
    """What a stat or gauge shows of its highest line, for people; `colour` is that of its threshold, or empty."""

    highest: str
    newest: str
    colour: str


@dataclass(frozen=True)
class Mark:
    """A moment that a plot points at, in epoch milliseconds, and what it is called there."""

    at: int
    text: str


@dataclass(frozen=True)
class Figure:
    """One plot; `note` says what is left out, or why there is nothing to draw."""

    id: str
    title: str
    description: str
    unit: str
    kind: str  # "lines" or "heatmap"
    traces: tuple[Trace, ...]
    note: str = ""
    verdict: str = ""
    grid: Grid | None = None
    limits: tuple[Limit, ...] = ()
    number: Number | None = None
    marks: tuple[Mark, ...] = ()
    metrics: tuple[str, ...] = ()
    measures: Measured = ""

    @property
    def has_data(self) -> bool:
        return any(value is not None for trace in self.traces for value in trace.y)

    def as_json(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "title": self.title,
            "unit": self.unit,
            "kind": self.kind,
            "traces": [{"name": t.name, "x": t.x, "y": t.y, "unit": t.unit} for t in self.traces],
            "legend": self.grid is None,
            "limits": [{"above": limit.above, "colour": limit.colour} for limit in self.limits],
            "marks": [{"at": mark.at, "text": mark.text} for mark in self.marks],
        }


@dataclass(frozen=True)
class Plot:
    """Which series share a plot."""

    title: str
    section: str  # "load", "services", "resources" or "stores"
    series: tuple[str, ...]


PLOTS = (
    Plot("Requests a second", "load", ("k6_requests",)),
    Plot("Latency p95, by request", "load", ("k6_latency_p95",)),
    Plot("Failed requests a second", "load", ("k6_failures",)),
    Plot("Virtual users", "load", ("k6_vus",)),
    Plot("Requests served a second", "services", ("service_requests",)),
    Plot("Server errors a second", "services", ("service_errors",)),
    Plot("Service time p50", "services", ("service_latency_p50",)),
    Plot("Service time p95", "services", ("service_latency_p95",)),
    Plot("Service time p99", "services", ("service_latency_p99",)),
    Plot("CPU by service", "resources", ("process_cpu",)),
    Plot("CPU by container, in cores", "resources", ("container_cpu",)),
    Plot("Memory by container", "resources", ("container_memory",)),
    Plot("Database connection pools: in use", "resources", ("pool_active", "pool_max")),
    Plot("Database connection pools: waiting", "resources", ("pool_pending",)),
    Plot("MySQL: connections", "stores", ("mysql_connections", "mysql_connections_max")),
    Plot("MySQL: slow queries and buffer pool misses", "stores", ("mysql_slow_queries", "mysql_buffer_pool_reads")),
    Plot("Redis: key look-ups a second", "stores", ("redis_hits", "redis_misses")),
    Plot("Redis: commands a second", "stores", ("redis_commands",)),
    Plot("Redis: memory", "stores", ("redis_memory",)),
    Plot("Redis: clients", "stores", ("redis_clients",)),
    Plot("Kafka: consumer lag", "stores", ("kafka_lag",)),
    Plot("Kafka: records written a second", "stores", ("kafka_produced",)),
    Plot("Kafka: brokers", "stores", ("kafka_brokers",)),
    Plot(
        "Kafka bot: rate asked for, reached and acknowledged",
        "stores",
        ("bot_target_rate", "bot_actual_rate", "bot_sent"),
    ),
)


def series_figures(collected: Collected, section: str) -> list[Figure]:
    """The plots of one section, with a note where there is nothing to draw."""
    return [_figure(plot, collected) for plot in PLOTS if plot.section == section]


def thin(line: Line, points_max: int = POINTS_MAX) -> tuple[list[int | None], list[float | None]]:
    """(times, values) with at most about `points_max` points; None marks a hole or a value that is not finite."""
    x: list[int | None] = []
    y: list[float | None] = []
    pieces = _pieces(line)
    share = max(4, points_max // max(1, len(pieces)))
    for times, values in pieces:
        if x:
            x.append(None)
            y.append(None)
        kept = _extremes(values, share)
        x += times[kept].tolist()
        y += [float(f"{value:.6g}") for value in values[kept]]
    return x, y


def _pieces(line: Line) -> list[tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]]:
    """The line's unbroken parts, without values that are not finite."""
    finite = np.isfinite(line.values)
    times, values = line.times_ms[finite], line.values[finite]
    if not len(times):
        return []
    every = np.median(np.diff(line.times_ms)) if len(line.times_ms) > 1 else 0
    breaks = np.flatnonzero(np.diff(times) > GAP_STEPS * every) + 1
    return list(zip(np.split(times, breaks), np.split(values, breaks), strict=True))


def _extremes(values: np.ndarray[Any, Any], points_max: int) -> np.ndarray[Any, Any]:
    """Indices of each bucket's lowest and highest value, and of both ends."""
    if len(values) <= points_max:
        return np.arange(len(values))
    edges = np.linspace(0, len(values), points_max // 2 + 1).astype(int)
    kept = {0, len(values) - 1}
    for start, end in pairwise(edges):
        bucket = values[start:end]
        kept |= {start + int(bucket.argmin()), start + int(bucket.argmax())}
    return np.array(sorted(kept))


def _figure(plot: Plot, collected: Collected) -> Figure:
    specs = [row for row in collected.rows if row.id in plot.series]
    lines = [(row.title if len(specs) > 1 else "", line) for row in specs for line in collected.lines(row.id)]
    kept, note = _largest(lines)
    traces = tuple(_trace(_legend(prefix, line), line) for prefix, line in kept)
    missing = "; ".join(dict.fromkeys(row.note for row in specs if row.note))
    return Figure(
        id=plot.series[0],
        title=plot.title,
        description=" ".join(row.definition for row in specs),
        unit=specs[0].unit if specs else "",
        kind="lines",
        traces=traces,
        metrics=tuple(dict.fromkeys(name for row in specs for name in row.metrics)),
        measures=specs[0].measures if specs else "",
        note=note or missing or ("" if traces else f"{plot.title} was not collected"),
    )


def _largest(lines: list[tuple[str, Line]]) -> tuple[list[tuple[str, Line]], str]:
    """At most LINES_MAX lines, in their order, and a note when some are left out."""
    if len(lines) <= LINES_MAX:
        return lines, ""
    peaks = [np.nanmax(line.values, initial=0.0, where=np.isfinite(line.values)) for _, line in lines]
    chosen = sorted(np.argsort(peaks)[-LINES_MAX:])
    return [lines[index] for index in chosen], f"the {LINES_MAX} largest of {len(lines)} lines"


def _trace(name: str, line: Line, unit: str = "") -> Trace:
    x, y = thin(line)
    return Trace(name, x, y, unit)


def _legend(prefix: str, line: Line) -> str:
    return ": ".join(part for part in (prefix, ", ".join(line.labels.values())) if part)
