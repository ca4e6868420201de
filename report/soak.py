"""Trends under a steady load: what grows, how fast, and when it runs out.

Growth alone is no leak, for caches and pools fill. A line that grows is judged by its last third: `grows` when it still
rises there at half its speed or more, `fills` when it surely does not, `unclear` when the last third cannot tell. A
restart cuts the line, and the longest part is judged; restarts and gaps are named.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from core.checks import Check, check, passed_if
from core.words import Verdict
from report.interruptions import Times, Values, clock, finite, gaps, longest_part, new_starts, resets
from report.model import SeriesRow, SoakRow, WindowRow
from report.prometheus import Line
from report.slopes import Reduce, Slope, blocks, slope
from report.steady import SteadyWindow
from report.store import Collected

TrendName = Literal["grows", "fills", "unclear", "level", "falls", "no data"]
LEAST_SHARE = 0.02
"""A change below 2 % of the level over the whole window is no trend."""
STILL = 0.5
"""Share of its whole slope that a line must keep in its last third to be called growing."""
_MIB = 2.0**20


@dataclass(frozen=True)
class Watched:
    """A series whose trend matters; `least` is the smallest change over a window worth a word, in its unit."""

    series: str
    least: float
    reduce: Reduce = np.median
    blocks: int = 60  # of the whole window
    limit: str = ""  # series
    uptime: str = ""  # series that falls at a restart


WATCHED = (
    # The least of each block: what is left after a garbage collection, not the teeth between two of them.
    Watched("service_memory", 8 * _MIB, np.min, 24, "service_memory_max"),
    Watched("redis_memory", 1 * _MIB, np.min, 24, "redis_memory_max", "redis_uptime"),
    Watched("mysql_connections", 2, limit="mysql_connections_max", uptime="mysql_uptime"),
    Watched("redis_clients", 2, uptime="redis_uptime"),
    Watched("pool_active", 1, limit="pool_max"),
    Watched("service_latency_p95", 0.002),
    Watched("kafka_lag", 50),
    Watched("disk_used", 64 * _MIB, limit="disk_size"),
)
HORIZON_H = 7 * 24
"""What is used up within a week of the same load is no long-term matter."""
NOT_THE_TARGETS = ("disk_used",)
"""Watched and told, but others write there as well: no objective of the target."""
STARTS = "process_start"
_NEEDED = {id for watched in WATCHED for id in (watched.series, watched.limit, watched.uptime, STARTS) if id}
Lines = Mapping[str, Sequence[Line]]


@dataclass(frozen=True)
class Trend:
    """What a line does in a window; `slope` is None where there is no data."""

    name: TrendName
    slope: Slope | None
    notes: tuple[str, ...] = ()


def trend(line: Line, window: SteadyWindow, step_s: float, restarts: Sequence[int], watched: Watched) -> Trend:
    """The trend of one line; `restarts` are epoch milliseconds."""
    started, ended = window.started.timestamp() * 1000, window.ended.timestamp() * 1000
    times, values = finite(line)
    inside = (times >= started) & (times <= ended)
    times, values = times[inside], values[inside]
    inner = [moment for moment in restarts if started < moment <= ended]
    notes = [f"restarted before {clock(moment)}" for moment in inner]
    notes += [f"no samples from {clock(first)} to {clock(last)}" for first, last in gaps(times, started, ended, step_s)]
    part = longest_part(times, inner)
    times, values = times[part], values[part]
    if inner and len(times):
        notes.append(f"judged from {clock(times[0])} to {clock(times[-1])}")
    name, found = _judged(times, values, watched)
    return Trend(name, found, tuple(notes if found else [*notes, f"{len(times)} samples are too few for a trend"]))


def soak_rows(collected: Collected, windows: Sequence[SteadyWindow]) -> tuple[SoakRow, ...]:
    """A row for each line of each watched series in each window; a series without lines is a row without data."""
    if not windows:
        return ()
    lines = {id: collected.lines(id) for id in _NEEDED}
    return tuple(row for window in windows for watched in WATCHED for row in _rows(collected, lines, window, watched))


def trends_check(rows: Sequence[SoakRow]) -> Check:
    """`soak-trends`: nothing grows on that would be used up within a week; SKIPPED without a long steady part."""
    if not rows:
        return check("soak-trends", Verdict.SKIPPED, "no part of the load was steady for ten minutes")
    judged = [row for row in rows if row.trend != "no data"]
    if not judged:
        return check("soak-trends", Verdict.NO_DATA, "none of the watched series has data in a steady part")
    ending = sorted((row for row in judged if _ends_soon(row)), key=lambda row: row.hours_left or 0)
    told = [_told(row) for row in ending if row.series not in NOT_THE_TARGETS]
    beside = [_told(row) for row in ending if row.series in NOT_THE_TARGETS]
    good = f"{len(judged)} lines watched, none grows on that ends within {HORIZON_H} h"
    evidence = {"ends_within_h": HORIZON_H, "lines": len(judged), "not_judged": beside}
    return passed_if("soak-trends", not told, "; ".join(told or [good, *beside]), **evidence)


def _ends_soon(row: SoakRow) -> bool:
    return row.trend == "grows" and row.hours_left is not None and row.hours_left <= HORIZON_H


def _told(row: SoakRow) -> str:
    """`shopping-service: Memory by service grows by 1,830 MiB an hour, used up in 12.5 h (at least 11.9 h)`."""
    scale, unit = (_MIB, "MiB") if row.unit == "bytes" else (1.0, row.unit)
    per_hour = f"{(row.per_hour or 0) / scale:,.0f} {unit}"
    least = f" (at least {row.hours_left_at_least:.1f} h)" if row.hours_left_at_least is not None else ""
    return f"{row.name}: {row.title} grows by {per_hour} an hour, used up in {row.hours_left:.1f} h{least}"


def _rows(collected: Collected, lines: Lines, window: SteadyWindow, watched: Watched) -> Iterator[SoakRow]:
    series = next((row for row in collected.rows if row.id == watched.series), None)
    if not lines[watched.series]:
        note = collected.why_not(watched.series)
        yield _row(window, watched, series, "all", Trend("no data", None, (note,)), None)
    for line in lines[watched.series]:
        found = trend(line, window, collected.step_s, _restarts(lines, watched, line), watched)
        yield _row(window, watched, series, line.name, found, _limit(lines, watched, line, window))


def _judged(times: Times, values: Values, watched: Watched) -> tuple[TrendName, Slope | None]:
    whole = slope(*blocks(times, values, watched.blocks, watched.reduce)) if len(times) else None
    if whole is None:
        return "no data", None
    enough = max(watched.least, LEAST_SHARE * abs(float(np.median(values))))
    if whole.high < 0 and whole.start - whole.end >= enough:
        return "falls", whole
    if whole.low <= 0 or whole.end - whole.start < enough:
        return "level", whole
    late = times >= times[-1] - (times[-1] - times[0]) / 3
    last_third = slope(*blocks(times[late], values[late], watched.blocks // 3, watched.reduce))
    return _at_the_end(whole, last_third), whole


def _at_the_end(whole: Slope, last_third: Slope | None) -> TrendName:
    if last_third is None:
        return "unclear"
    if last_third.low > 0 and last_third.per_hour >= STILL * whole.per_hour:
        return "grows"
    return "fills" if last_third.high < STILL * whole.per_hour else "unclear"


def _restarts(lines: Lines, watched: Watched, line: Line) -> list[int]:
    """Of the process behind a line: its service's start times, or its store's uptime."""
    if watched.uptime:
        return resets(lines[watched.uptime])
    mine = {*line.labels.values()}
    return new_starts([start for start in lines[STARTS] if mine & {*start.labels.values()}])


def _limit(lines: Lines, watched: Watched, line: Line, window: SteadyWindow) -> float | None:
    """The limit's last value in the window, of the line with the same labels; 0 is no limit."""
    same = [limit for limit in lines.get(watched.limit, ()) if limit.labels == line.labels]
    values = [limit.finite_within(window.started, window.ended) for limit in same]
    return next((float(found[-1]) for found in values if len(found) and found[-1] > 0), None)


def _row(
    window: SteadyWindow, watched: Watched, series: SeriesRow | None, name: str, found: Trend, limit: float | None
) -> SoakRow:
    row = SoakRow(
        window=WindowRow(name=window.name, started=window.started, ended=window.ended),
        series=watched.series,
        name=name,
        title=series.title if series else watched.series,
        unit=series.unit if series else "",
        trend=found.name,
        limit=limit,
        notes=found.notes,
    )
    if found.slope is None:
        return row
    per_request = found.slope.per_hour / window.requests_per_hour if window.requests_per_hour else None
    figures = {
        "per_hour": found.slope.per_hour,
        "low": found.slope.low,
        "high": found.slope.high,
        "per_1000_requests": None if per_request is None else per_request * 1000,
        "at_end": found.slope.end,
    }
    return row.model_copy(update={**figures, **_time_left(found, limit)})


def _time_left(found: Trend, limit: float | None) -> dict[str, float]:
    """Only for what may go on growing: a line that fills has its own end."""
    if limit is None or found.slope is None or found.name not in ("grows", "unclear"):
        return {}
    room = max(0.0, limit - found.slope.end)
    return {"hours_left": room / found.slope.per_hour, "hours_left_at_least": room / found.slope.high}
