"""Objectives over collected series in a window of the load, and the k6 thresholds beside them as gates.

An objective gate without data is NO_DATA, never a pass; where no load was asked for it is SKIPPED.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from core.words import Verdict
from report.model import GateRow, ScenarioRow, ThresholdRow, WindowRow
from report.store import Collected

ERROR_RATIO_MAX = 0.001
"""Design 4.3, scenarios A and B: `http_req_failed: rate<0.001`, here from the services' own counters."""
LAG_MAX_RECORDS = 10_000
"""The platform's plan for scenario F (platform.md 8): lag below 10,000 records."""

MEMORY_GROWTH_MAX_BYTES = 128 * 2**20
"""What a service may hold at the end of the load beyond its start: caches and pools fill, then it is even."""


@dataclass(frozen=True)
class Objective:
    """One gate before anything was looked at; `reduce` gives a figure a line, of which the largest is judged."""

    id: str
    series: str
    reduction: str
    want: str
    unit: str
    limit: float
    reduce: Callable[[Collected, datetime, datetime], Mapping[str, float]]


def error_ratios(collected: Collected, started: datetime, ended: datetime) -> dict[str, float]:
    """Service -> its 5xx answers as a share of all its answers between two moments; only services with requests."""
    errors = {line.name: line.finite_within(started, ended).sum() for line in collected.lines("service_errors")}
    requests = {line.name: line.finite_within(started, ended).sum() for line in collected.lines("service_requests")}
    return {name: float(errors[name] / total) for name, total in requests.items() if total > 0 and name in errors}


def lag_peaks(collected: Collected, started: datetime, ended: datetime) -> dict[str, float]:
    """Consumer group and topic -> the largest lag between two moments, in records."""
    inside = {line.name: line.finite_within(started, ended) for line in collected.lines("kafka_lag")}
    return {name: float(values.max()) for name, values in inside.items() if len(values)}


def memory_growth(collected: Collected, started: datetime, ended: datetime) -> dict[str, float]:
    """Service -> bytes that it holds at the end of the window beyond those at its start."""
    inside = {line.name: line.finite_within(started, ended) for line in collected.lines("service_memory")}
    return {name: float(values[-1] - values[0]) for name, values in inside.items() if len(values) > 1}


OBJECTIVES = (
    Objective(
        "server-error-ratio",
        "service_errors / service_requests",
        "sum over the window, worst service",
        f"< {ERROR_RATIO_MAX:.1%}",
        "ratio",
        ERROR_RATIO_MAX,
        error_ratios,
    ),
    Objective(
        "kafka-lag-max",
        "kafka_lag",
        "max over the window, worst group and topic",
        f"< {LAG_MAX_RECORDS:,} records",
        "records",
        LAG_MAX_RECORDS,
        lag_peaks,
    ),
    Objective(
        "memory-growth",
        "service_memory",
        "last minus first in the window, worst service",
        f"< {MEMORY_GROWTH_MAX_BYTES / 2**20:.0f} MiB",
        "bytes",
        MEMORY_GROWTH_MAX_BYTES,
        memory_growth,
    ),
)


def objective_gates(
    collected: Collected | None, scenarios: Sequence[ScenarioRow], load_asked: bool
) -> tuple[GateRow, ...]:
    """Every objective over the whole load, from the first scenario's start to the last one's end."""
    window = load_window(scenarios)
    return tuple(_judge(objective, collected, window, load_asked) for objective in OBJECTIVES)


def threshold_gates(scenarios: Sequence[ScenarioRow]) -> tuple[GateRow, ...]:
    """The k6 thresholds of each scenario, as k6 judged them (design 4.3)."""
    return tuple(_threshold_gate(scenario, row) for scenario in scenarios for row in scenario.thresholds)


def load_window(scenarios: Sequence[ScenarioRow]) -> WindowRow:
    """From the first scenario's start to the last one's end; open where none ran."""
    starts = [row.started for row in scenarios if row.started]
    ends = [row.ended for row in scenarios if row.ended]
    return WindowRow(name="load", started=min(starts, default=None), ended=max(ends, default=None))


def threshold_verdict(row: ThresholdRow) -> Verdict:
    """NO_DATA without samples, whatever k6 says (corrections.md 4)."""
    if row.samples == 0:
        return Verdict.NO_DATA
    return Verdict.PASS if row.ok else Verdict.FAIL


def _judge(objective: Objective, collected: Collected | None, window: WindowRow, load_asked: bool) -> GateRow:
    verdict, observed = _verdict(objective, collected, window, load_asked)
    return GateRow(
        id=objective.id,
        verdict=verdict,
        series=objective.series,
        reduction=objective.reduction,
        window=window,
        observed=observed,
        want=objective.want,
        severity="fail",
    )


def _verdict(
    objective: Objective, collected: Collected | None, window: WindowRow, load_asked: bool
) -> tuple[Verdict, str]:
    if not load_asked:
        return Verdict.SKIPPED, "no load was asked for"
    if window.started is None or window.ended is None:
        return Verdict.NO_DATA, "no scenario ran"
    if collected is None:
        return Verdict.NO_DATA, "no series were collected"
    figures = objective.reduce(collected, window.started, window.ended)
    if not figures:
        return Verdict.NO_DATA, _why_not(objective, collected)
    name, figure = max(figures.items(), key=lambda item: item[1])
    return (Verdict.PASS if figure < objective.limit else Verdict.FAIL), f"{_figure(figure, objective.unit)} ({name})"


def _why_not(objective: Objective, collected: Collected) -> str:
    notes = [collected.why_not(id) for id in objective.series.split(" / ")]
    return "; ".join(dict.fromkeys(note for note in notes if note)) or "no sample in the load's window"


def _threshold_gate(scenario: ScenarioRow, row: ThresholdRow) -> GateRow:
    verdict = threshold_verdict(row)
    held = {Verdict.PASS: "held", Verdict.FAIL: "did not hold", Verdict.NO_DATA: "no samples"}[verdict]
    aggregate = row.expression.partition("<")[0].partition(">")[0].strip()
    return GateRow(
        id=f"k6-{scenario.id}-{row.metric}-{aggregate}",
        verdict=verdict,
        series=row.metric,
        reduction=aggregate,
        window=WindowRow(name=f"scenario {scenario.id.upper()}", started=scenario.started, ended=scenario.ended),
        observed=f"{held}, {row.samples:,} samples",
        want=row.expression,
        severity="fail",
    )


def _figure(value: float, unit: str) -> str:
    if unit == "bytes":
        return f"{value / 2**20:,.0f} MiB"
    return f"{value:.3%}" if unit == "ratio" else f"{value:,.0f} {unit}"
