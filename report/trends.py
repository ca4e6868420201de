"""The comparison with earlier runs and the trends of a long load, as rows for a table and as plots."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from report.amounts import amount, hours
from report.figures import Figure, Trace, thin
from report.model import Comparison, Regression, ShiftRow, SoakRow
from report.prometheus import Line
from report.store import Collected
from report.summary import change_text

SHIFTS_DRAWN = 24
"""Figures in one plot: those that changed most."""
TRENDS_DRAWN = 12
WHOLE = "all"
"""Name of a line without labels."""
CHANGES = ("worse", "unknown", "better", "same")
"""The worst first."""
TRENDS = ("grows", "unclear", "no data", "fills", "falls", "level")
_DRAWN_TRENDS = ("grows", "unclear", "fills", "falls")


@dataclass(frozen=True)
class Worse:
    """A figure that became worse, for people."""

    figure: str
    title: str
    change: str
    since: str
    said: str  # what is known of it
    beneath: tuple[str, ...]  # what became worse with it


def worse_rows(comparison: Comparison) -> list[Worse]:
    """One row a scenario or service, with what lies beneath its headline."""
    return [
        Worse(
            figure=group.headline.shift.figure,
            title=group.headline.shift.title,
            change=change_text(group.headline.shift),
            since=group.headline.since,
            said=_said(group.headline),
            beneath=tuple(f"{each.shift.title} {change_text(each.shift)}" for each in group.beneath),
        )
        for group in comparison.regressions
    ]


def shifts_sorted(comparison: Comparison) -> list[ShiftRow]:
    """The worst first, and among equals the largest change."""
    return sorted(comparison.shifts, key=lambda row: (CHANGES.index(row.change), -abs(row.relative or 0)))


def shift_figure(comparison: Comparison) -> Figure:
    """Each figure's relative change with its interval; only those that have one."""
    known = [row for row in shifts_sorted(comparison) if row.low is not None and row.high is not None]
    drawn = sorted(known[:SHIFTS_DRAWN], key=lambda row: row.relative or 0)
    return Figure(
        id="comparison",
        title="Relative change",
        description="Change against the passing runs before, with its interval; right of 0 is worse.",
        unit="ratio",
        kind="intervals",
        traces=tuple(Trace(row.figure, [], [row.low, row.relative, row.high], row.change) for row in drawn),
        note=f"the {SHIFTS_DRAWN} largest of {len(known)} changes" if len(known) > SHIFTS_DRAWN else "",
    )


def soak_sorted(rows: Sequence[SoakRow]) -> list[SoakRow]:
    """What still grows first, and of that what runs out soonest."""
    return sorted(rows, key=lambda row: (TRENDS.index(row.trend), row.hours_left or float("inf")))


@dataclass(frozen=True)
class Cell:
    """A figure for people, what stands small beneath it, and the number to sort by."""

    text: str
    beneath: str
    number: float


def soak_cells(row: SoakRow) -> tuple[Cell, ...]:
    """Slope with its interval, slope per 1,000 requests, level at the end, limit, and time left."""
    interval = "" if row.low is None else f"{amount(row.low, row.unit)} … {amount(row.high, row.unit)}"
    at_least = "" if row.hours_left_at_least is None else f"at least {hours(row.hours_left_at_least)}"
    return (
        Cell(amount(row.per_hour, row.unit), interval, row.per_hour or 0),
        Cell(amount(row.per_1000_requests, row.unit), "", row.per_1000_requests or 0),
        Cell(amount(row.at_end, row.unit), "", row.at_end or 0),
        Cell(amount(row.limit, row.unit), "", row.limit or 0),
        Cell(hours(row.hours_left), at_least, row.hours_left or 0),
    )


def soak_title(row: SoakRow) -> str:
    """'Memory by service: shopping-service'; the title alone where the series has one line."""
    return row.title if row.name == WHOLE else f"{row.title}: {row.name}"


def soak_figures(rows: Sequence[SoakRow], collected: Collected | None) -> list[Figure]:
    """The lines that have a trend, each with its slope drawn through the steady part; the worst first."""
    if collected is None:
        return []
    trending = [row for row in soak_sorted(rows) if row.trend in _DRAWN_TRENDS]
    return [figure for row in trending[:TRENDS_DRAWN] if (figure := _soak_figure(row, collected))]


def _soak_figure(row: SoakRow, collected: Collected) -> Figure | None:
    line = next((line for line in collected.lines(row.series) if line.name == row.name), None)
    started, ended = row.window.started, row.window.ended
    if line is None or started is None or ended is None or row.at_end is None or row.per_hour is None:
        return None
    first_ms, last_ms = round(started.timestamp() * 1000), round(ended.timestamp() * 1000)
    rise = row.per_hour * (last_ms - first_ms) / 3_600_000
    slope = Trace("trend", [first_ms, last_ms], [row.at_end - rise, row.at_end])
    return Figure(
        id=f"soak-{row.series}-{row.name}-{row.window.name}",
        title=soak_title(row),
        description=f"{amount(row.per_hour, row.unit)} per hour in {row.window.name}",
        unit=row.unit,
        kind="lines",
        traces=(_within(line, first_ms, last_ms), slope),
        verdict=row.trend,
    )


def _within(line: Line, first_ms: int, last_ms: int) -> Trace:
    inside = (line.times_ms >= first_ms) & (line.times_ms <= last_ms)
    x, y = thin(Line(line.labels, line.times_ms[inside], line.values[inside]))
    return Trace("measured", x, y)


def _said(row: Regression) -> str:
    if row.acknowledged:
        return f"acknowledged {row.acknowledged}"
    return "new" if row.news else "said before"
