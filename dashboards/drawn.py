"""Every panel's answer over a window of the load, as plain data for the report (`metrics/panels.json`)."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from dashboards.engine import Engine, PanelAnswer
from dashboards.model import Traffic
from dashboards.sampler import PanelSamples, Samples
from dashboards.variables import step_s
from dashboards.verify import ANY_TRAFFIC, panel_verdict

PUSH_S = 1.0
"""k6 pushes its series every second (corrections 19): a scenario may last no longer than a few."""


def draw_answers(
    engine: Engine, samples: Samples, start: float, end: float, traffic: Collection[Traffic] = ANY_TRAFFIC
) -> list[dict[str, Any]]:
    """One row a panel, in page order: {id, dashboard, title, description, kind, unit, grid, live, state, verdict,
    reason, series: [{legend, unit, times, values}]}; `start`, `end` and times in unix seconds, values finite or null.

    The verdict is the sampler's, from under load; the series are asked now, over the whole window.
    """
    step = step_s(end - start, at_least_s=PUSH_S)
    return [_row(engine.ask(each.panel, start, end, step), each, traffic) for each in samples.panels]


def _row(answer: PanelAnswer, seen: PanelSamples, traffic: Collection[Traffic]) -> dict[str, Any]:
    panel = answer.panel
    verdict, reason = panel_verdict(seen, traffic)
    return {
        "id": panel.id,
        "dashboard": panel.dashboard,
        "title": panel.title,
        "description": panel.description,
        "kind": panel.kind.value,
        "unit": panel.unit,
        "grid": {"x": panel.grid.x, "y": panel.grid.y, "w": panel.grid.w, "h": panel.grid.h},
        "live": panel.live,
        "state": seen.state.value,
        "verdict": verdict.value,
        "reason": reason or answer.error,
        "series": _series(answer),
    }


def _series(answer: PanelAnswer) -> list[dict[str, Any]]:
    return [
        {
            "legend": series.legend,
            "unit": asked.unit or answer.panel.unit,
            "times": list(series.times),
            "values": list(series.values),
        }
        for asked, target in zip(answer.panel.targets, answer.targets, strict=True)
        for series in target.series
    ]
