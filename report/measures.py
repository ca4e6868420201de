"""The figures of a run that later runs are compared with: few, and of each a higher value is worse.

Shares of failed requests are left out: they are 0 on a good night, so they have no relative change, and gates judge
them in absolute terms every night.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from report.gates import CLOCKS_APART_AT_MOST_S
from report.model import ScenarioRow
from report.store import Collected
from report.windows import SCENARIO_PARTS, PartsRun

Values = np.ndarray[Any, np.dtype[np.float64]]
_MIB = 2.0**20


@dataclass(frozen=True)
class Measure:
    """What is measured; a change below `least` (in the unit) is of no interest, however sure it is."""

    title: str
    unit: str
    least: float


MEASURES = {
    "p50_ms": Measure("p50", "ms", 0.5),
    "p95_ms": Measure("p95", "ms", 0.5),
    "p99_ms": Measure("p99", "ms", 0.5),
    "p95_intended_ms": Measure("p95 from the intended start", "ms", 2),  # kept in whole milliseconds
    "service_time_p95_ms": Measure("service time p95, median over the load", "ms", 0.5),
    "cpu_percent": Measure("processor time, mean over the load", "% of the machine", 1),
    "memory_mib": Measure("memory, largest under the load", "MiB", 8),
    "connections": Measure("connections, most under the load", "connections", 5),
    "lag_records": Measure("consumer lag, largest under the load", "records", 500),
}


@dataclass(frozen=True)
class _Reduced:
    """One figure for each line of a series; `about` names lines that have no label of a service."""

    series: str
    measure: str
    reduce: Callable[[Values], Any]
    factor: float = 1
    about: str = ""


_FROM_SERIES = (
    _Reduced("service_latency_p95", "service_time_p95_ms", np.median, 1000),
    _Reduced("process_cpu", "cpu_percent", np.mean, 100),
    _Reduced("service_memory", "memory_mib", np.max, 1 / _MIB),
    _Reduced("redis_memory", "memory_mib", np.max, 1 / _MIB, "redis"),
    _Reduced("mysql_connections", "connections", np.max, 1, "mysql"),
    _Reduced("kafka_lag", "lag_records", np.max),
)


def measure_of(figure: str) -> Measure:
    """The measure of a figure `<about>/<measure>`; one that this version does not know has no least change."""
    name = figure.rpartition("/")[2]
    return MEASURES.get(name, Measure(name, "", 0))


def about(figure: str) -> str:
    """The scenario or service of a figure."""
    return figure.rpartition("/")[0]


def figures_of(scenarios: Sequence[ScenarioRow], collected: Collected | None) -> dict[str, float]:
    """`<scenario or service>/<measure>` -> figure; only finite figures above 0, for others have no relative change."""
    found = dict(_of_scenarios(scenarios))
    load = PartsRun(SCENARIO_PARTS, scenarios, None).window("whole", SCENARIO_PARTS)
    if collected is not None and load and abs(collected.clock_ahead_s) <= CLOCKS_APART_AT_MOST_S:
        for one in _FROM_SERIES:
            for line in collected.lines(one.series):
                inside = line.finite_within(load[0].started, load[0].ended)
                if len(inside):
                    found[f"{one.about or line.name}/{one.measure}"] = float(one.reduce(inside)) * one.factor
    return {figure: value for figure, value in found.items() if math.isfinite(value) and value > 0}


def _of_scenarios(scenarios: Sequence[ScenarioRow]) -> Iterator[tuple[str, float]]:
    for row in scenarios:
        figures = {
            "p50_ms": row.p50_ms,
            "p95_ms": row.p95_ms,
            "p99_ms": row.p99_ms,
            "p95_intended_ms": row.p95_from_intended_ms,
        }
        if row.error is None:
            yield from ((f"{row.name}/{name}", value) for name, value in figures.items() if value is not None)
