"""Every panel's answer over a window of the load, as plain data for the report (`metrics/panels.json`)."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

from dashboards.engine import Engine, Series
from dashboards.model import Kind, Panel, Target, Traffic
from dashboards.sampler import PanelSamples, Samples
from dashboards.thinning import Points, Raster, thin
from dashboards.verify import ANY_TRAFFIC, panel_verdict

LineKey = tuple[int, frozenset[tuple[str, str]]]  # (index of the target, labels)


@dataclass
class _Line:
    """One line of a panel, as it grows chunk by chunk."""

    target: Target
    legend: str
    points: Points = field(default_factory=list)


def draw_answers(
    engine: Engine, samples: Samples, start: float, end: float, traffic: Collection[Traffic] = ANY_TRAFFIC
) -> list[dict[str, Any]]:
    """One row a panel, in page order: {id, dashboard, title, description, kind, unit, grid, live, queries, thresholds,
    state, verdict, reason, series: [{legend, unit, times, values}]}; `start`, `end` and times in unix seconds, values
    finite or null, queries as Prometheus was asked.

    The verdict is the sampler's, from under load; the series are asked now, over the whole window, and thinned to what
    the eye can tell apart (`dashboards.thinning`).
    """
    raster = Raster.of(start, end)
    return [_row(engine, each, raster, traffic) for each in samples.panels]


def _row(engine: Engine, seen: PanelSamples, raster: Raster, traffic: Collection[Traffic]) -> dict[str, Any]:
    panel = seen.panel
    verdict, reason = panel_verdict(seen, traffic)
    lines, queries, error = _lines(engine, panel, raster)
    return {
        "id": panel.id,
        "dashboard": panel.dashboard,
        "title": panel.title,
        "description": panel.description,
        "kind": panel.kind.value,
        "unit": panel.unit,
        "grid": {"x": panel.grid.x, "y": panel.grid.y, "w": panel.grid.w, "h": panel.grid.h},
        "live": panel.live,
        "queries": queries,
        "thresholds": [{"above": each.above, "colour": each.colour} for each in panel.thresholds],
        "state": seen.state.value,
        "verdict": verdict.value,
        "reason": reason or error,
        "series": [_series(panel, line) for line in lines],
    }


def _lines(engine: Engine, panel: Panel, raster: Raster) -> tuple[list[_Line], list[str], str]:
    """The panel's lines over the whole window, in the order of its queries; these; and why one could not be asked."""
    found: dict[LineKey, _Line] = {}
    queries: list[str] = []
    error = ""
    for start, end in raster.chunks():
        answer = engine.ask(panel, start, end, raster.step_s)
        error = answer.error or error
        queries = [target.expr for target in answer.targets]
        for index, (asked, target) in enumerate(zip(panel.targets, answer.targets, strict=True)):
            for series in target.series:
                line = found.setdefault(_key(index, series), _Line(asked, series.legend))
                line.points += thin(series.times, series.values, raster, highest_only=panel.kind is Kind.HEATMAP)
    ordered = sorted(found.items(), key=lambda item: item[0][0])
    lines = [line for _, line in ordered]
    return sorted(lines, key=_upper_bound) if panel.of_buckets else lines, queries, error


def _key(index: int, series: Series) -> LineKey:
    return index, frozenset(series.labels.items())


def _upper_bound(line: _Line) -> float:
    return float(line.legend)


def _series(panel: Panel, line: _Line) -> dict[str, Any]:
    return {
        "legend": line.legend,
        "unit": line.target.unit or panel.unit,
        "times": [at for at, _ in line.points],
        "values": [value for _, value in line.points],
    }
