"""The dashboards' panels as plots: at their place on the page, with units, thresholds, and a heatmap as a heatmap.

A number that Grafana would show large (stat, gauge) is given as the highest of the window and the newest, above its
line: at the end of a load the newest alone says little. The legend says the same of every line.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from report.definitions import measured_by
from report.figures import Figure, Grid, Limit, Number, Trace, thin
from report.panels import PanelAnswer, PanelSeries
from report.summary import milliseconds

COLUMNS_MAX = 360
"""Columns of a heatmap after thinning: about one for two pixels of the widest."""
OF_NUMBERS = ("stat", "gauge")


def panel_figures(panels: Sequence[PanelAnswer], dashboard: str) -> list[Figure]:
    """One dashboard's panels, in its order."""
    return [_panel_figure(panel) for panel in panels if panel.dashboard == dashboard]


def readable(value: float, unit: str) -> str:
    """A number with its Grafana unit for people: '0.12 %', '180 MB', '212 /s', '48 ms'."""
    match unit:
        case "percentunit":
            return f"{value * 100:.3g} %"
        case "s":
            return milliseconds(value * 1000)
        case "bytes" | "Bps":
            return f"{_scaled(value)}B{'/s' if unit == 'Bps' else ''}"
        case "reqps" | "ops" | "cps":
            return f"{_plain(value)} /s"
        case _:
            return _plain(value)


def columns(series: Sequence[PanelSeries], columns_max: int = COLUMNS_MAX) -> list[Trace]:
    """A heatmap's rows on one grid of at most `columns_max` columns; of what falls on one the highest is kept."""
    lines = [each.line() for each in series]
    times = np.unique(np.concatenate([line.times_ms for line in lines])) if lines else np.array([], dtype=np.int64)
    if len(times) <= columns_max:
        return [_row(each, line.times_ms, line.values) for each, line in zip(series, lines, strict=True)]
    width = math.ceil((times[-1] - times[0] + 1) / columns_max)
    rows = []
    for each, line in zip(series, lines, strict=True):
        filled, first = np.unique((line.times_ms - times[0]) // width, return_index=True)
        rows.append(_row(each, times[0] + filled * width, np.fmax.reduceat(line.values, first)))
    return rows


def _panel_figure(panel: PanelAnswer) -> Figure:
    if panel.kind == "heatmap":
        traces = tuple(columns(panel.series))
        unit = "1/s" if panel.of_buckets else panel.unit
    else:
        traces = tuple(_trace(series, series.unit or panel.unit) for series in panel.series)
        unit = panel.unit
    return Figure(
        id=panel.id,
        title=panel.title,
        description=panel.description,
        unit=unit,
        kind="heatmap" if panel.kind == "heatmap" else "lines",
        traces=traces,
        note=panel.reason or ("" if any(trace.x for trace in traces) else "the panel's queries answered nothing"),
        verdict=panel.verdict,
        grid=Grid(panel.grid.x, panel.grid.w),
        limits=tuple(Limit(each.above, each.colour, readable(each.above, panel.unit)) for each in panel.thresholds),
        metrics=panel.metrics,
        measures=measured_by(panel.metrics, unit if panel.kind != "heatmap" else panel.unit),
        number=_number(panel) if panel.kind in OF_NUMBERS else None,
    )


def _number(panel: PanelAnswer) -> Number | None:
    """Of the line that rose highest, in the colour of its threshold; None without any number."""
    lines = [present for series in panel.series if (present := _present(series))]
    if not lines:
        return None
    worst = max(lines, key=max)
    colour = next((each.colour for each in reversed(panel.thresholds) if max(worst) >= each.above), "")
    return Number(readable(max(worst), panel.unit), readable(worst[-1], panel.unit), colour)


def _trace(series: PanelSeries, unit: str) -> Trace:
    x, y = thin(series.line())
    present = _present(series)
    highest, newest = (readable(max(present), unit), readable(present[-1], unit)) if present else ("–", "–")
    return Trace(series.legend, x, y, unit, highest, newest)


def _present(series: PanelSeries) -> list[float]:
    return [value for value in series.values if value is not None]


def _row(series: PanelSeries, times_ms: np.ndarray, values: np.ndarray) -> Trace:
    bound = series.bound_s
    y = [float(f"{value:.6g}") if math.isfinite(value) else None for value in values.tolist()]
    return Trace(series.legend if bound is None else f"≤ {milliseconds(bound * 1000)}", times_ms.tolist(), y)


def _plain(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 or value == int(value) else f"{value:.3g}"


def _scaled(value: float) -> str:
    """Three digits and a decimal prefix: '180 M'."""
    for factor, prefix in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= factor:
            return f"{value / factor:.3g} {prefix}"
    return f"{value:.3g} "
