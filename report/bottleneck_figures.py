"""The bottleneck's evidence as plots: where requests were, their time and rate, and the resource itself."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from report.bottleneck_seen import Seen
from report.bottleneck_work import Values, Work
from report.figures import Figure, Mark, Trace
from report.model import Bottleneck
from report.store import Collected

SHOWN_FROM = 0.01
"""A line whose highest value is below this share of the plot's highest is left out."""
LINES_MAX = 10
_OWN = {
    "limiter": ("routed_total", "Answers of the gateway", "By status; 429 is a refusal.", "1/s"),
    "consumer": ("kafka_lag", "Records behind", "Not yet committed, by consumer group and topic.", "records"),
    "memory": ("service_memory", "Memory", "Held by each service's process.", "bytes"),
    "pool": ("pool_active", "Connections in use", "By service and pool.", "count"),
    "database": ("pool_pending", "Waiting for a connection", "Requests, by service and pool.", "count"),
}
"""Kind of bottleneck -> series, title, description and unit of its own plot."""


def bottleneck_figures(row: Bottleneck, collected: Collected, spans: pd.DataFrame) -> list[Figure]:
    """Up to three plots over the run, each with the moment marked; [] where nothing was looked for."""
    seen = Seen(Work(collected), spans["remote"].unique())
    if row.component is None or not seen.served:
        return []
    marks = (Mark(round(row.since.timestamp() * 1000), row.component or ""),) if row.since else ()
    figures = [_places(seen, marks), _knee(seen, marks), *_own(row, seen, marks)]
    return [figure for figure in figures if figure.has_data]


def _places(seen: Seen, marks: tuple[Mark, ...]) -> Figure:
    return _figure(
        seen,
        "bottleneck-places",
        "Where the requests were",
        "Requests present in each place, on average over a step: seconds that were spent there, by the seconds that"
        " passed. A queue is a line that rises.",
        "count",
        ((name, timer.seconds / seen.work.step_s) for name, timer in seen.places()),
        marks,
    )


def _knee(seen: Seen, marks: tuple[Mark, ...]) -> Figure:
    """Time and rate of the service in which the most requests were."""
    service, served = max(seen.served.items(), key=lambda item: item[1].seconds.sum())
    told = "Mean time of a request and requests answered a second. Time that rises while the rate stays is the knee."
    time = [("time of a request", np.where(served.count > 0, served.each, np.nan))]
    figure = _figure(seen, "bottleneck-knee", f"Time and rate of {service}", told, "s", time, marks)
    rate = _trace(seen, "answered a second", served.count / seen.work.step_s, "1/s")
    return replace(figure, traces=(*figure.traces, rate))


def _own(row: Bottleneck, seen: Seen, marks: tuple[Mark, ...]) -> Iterator[Figure]:
    if row.kind == "cpu":
        told = "Processors that each process or control group used, on average over a step."
        yield _figure(seen, "bottleneck-own", "Processors in use", told, "count", seen.cores.items(), marks)
    elif row.kind == "call":
        told = "Mean time of one call, as the service waits for it."
        calls = (
            (f"{service}: {store}", np.where(timer.count > 0, timer.each, np.nan))
            for service in seen.served
            for store, timer in seen.calls(service)
        )
        yield _figure(seen, "bottleneck-own", "Time of a call", told, "s", calls, marks)
    elif row.kind in _OWN:
        series, title, told, unit = _OWN[row.kind]
        yield _figure(seen, "bottleneck-own", title, told, unit, _lines(seen, series), marks)


def _lines(seen: Seen, series: str) -> Iterator[tuple[str, Values]]:
    rate = series.endswith("_total")
    lines = seen.work.added(series) if rate else seen.work.gauge(series)
    for labels, values in lines.items():
        yield ", ".join(labels), values / seen.work.step_s if rate else values


def _figure(
    seen: Seen,
    id: str,
    title: str,
    description: str,
    unit: str,
    lines: Iterable[tuple[str, Values]],
    marks: tuple[Mark, ...],
) -> Figure:
    kept, note = _largest(list(lines))
    traces = tuple(_trace(seen, name, values) for name, values in kept)
    return Figure(id, title, description, unit, "lines", traces, note=note, marks=marks)


def _largest(lines: Sequence[tuple[str, Values]]) -> tuple[list[tuple[str, Values]], str]:
    """Lines that can be seen beside the highest, at most LINES_MAX."""
    peaks = {index: float(np.nanmax(values, initial=0.0)) for index, (_, values) in enumerate(lines)}
    highest = max(peaks.values(), default=0.0)
    seen = [
        index for index in sorted(peaks, key=lambda index: -peaks[index]) if peaks[index] >= SHOWN_FROM * highest > 0
    ]
    note = f"the {LINES_MAX} largest of {len(seen)} lines" if len(seen) > LINES_MAX else ""
    return [lines[index] for index in seen[:LINES_MAX]], note


def _trace(seen: Seen, name: str, values: Values, unit: str = "") -> Trace:
    times = [round(seen.work.moment(step).timestamp() * 1000) for step in range(seen.work.steps)]
    return Trace(name, list(times), [float(f"{v:.6g}") if np.isfinite(v) else None for v in values], unit)
