"""A panel's queries asked through Grafana's own data source: what a person who opens the dashboard would see.

After Grafana's documentation: "Query a data source" of the Data source HTTP API, and "Data frames" of the plugin
tools. A native histogram comes as a frame of heatmap cells (yMin, yMax, count).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from dashboards.engine import State, Value, best, panel_state, state
from dashboards.grafana import Grafana, Json
from dashboards.grafana_json import DATASOURCE_UID
from dashboards.model import Panel
from dashboards.variables import fill

EDGES = ("yMin", "yMax", "yLayout")
"""Number fields of heatmap cells that say where a cell lies, not what is in it."""


@dataclass(frozen=True)
class Seen:
    """What one panel showed in Grafana; `error` is why it could not be asked."""

    panel: Panel
    state: State
    error: str


def ask(grafana: Grafana, panel: Panel, values: Mapping[str, str], start: float, end: float, step_s: float) -> Seen:
    """Every query of `panel` over `start` … `end` (unix seconds), a point each `step_s`; errors as Grafana.query."""
    queries = [_query(panel, number, values, end - start, step_s) for number in range(len(panel.targets))]
    answers = grafana.query(queries, start, end)
    found = [answers.get(query["refId"], {}) for query in queries]
    error = next((each["error"] for each in found if each.get("error")), "")
    return Seen(panel, panel_state(best(state(line) for line in _lines(each)) for each in found), error)


def _query(panel: Panel, number: int, values: Mapping[str, str], range_s: float, step_s: float) -> Json:
    target = panel.targets[number]
    return {
        "refId": chr(ord("A") + number),
        "datasource": {"type": "prometheus", "uid": DATASOURCE_UID},
        "expr": fill(target.expr, values, step_s),
        "legendFormat": target.legend,
        "format": "heatmap" if panel.of_buckets else "time_series",
        "range": True,
        "instant": False,
        "intervalMs": round(step_s * 1000),
        "maxDataPoints": math.ceil(range_s / step_s) + 1,
    }


def _lines(answer: Json) -> Iterator[list[Value]]:
    """The values of each line of a query's frames; no number (NaN, infinity) is null in Grafana's JSON."""
    for frame in _list(answer, "frames"):
        fields, columns = _list(frame, "schema", "fields"), _list(frame, "data", "values")
        for field, values in zip(fields, columns, strict=False):
            if field.get("type") == "number" and field.get("name") not in EDGES and values:
                yield values


def _list(part: Any, *keys: str) -> list[Any]:
    """What stands under `keys`; empty where Grafana leaves it out."""
    for key in keys:
        part = part.get(key) if isinstance(part, dict) else None
    return part if isinstance(part, list) else []
