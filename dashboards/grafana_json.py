"""Grafana's JSON of a dashboard, through grafana-foundation-sdk; sorted: a changed query is a changed line."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence

from grafana_foundation_sdk.builders import common as shared
from grafana_foundation_sdk.builders import dashboard as grafana
from grafana_foundation_sdk.builders import gauge, heatmap, prometheus, stat, timeseries
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.common import BigValueColorMode, SortOrder, TooltipDisplayMode, VisibilityMode
from grafana_foundation_sdk.models.dashboard import (
    DashboardCursorSync,
    DataSourceRef,
    DynamicConfigValue,
    GridPos,
    ThresholdsMode,
    VariableOption,
    VariableRefresh,
)
from grafana_foundation_sdk.models.dashboard import Threshold as GrafanaThreshold
from grafana_foundation_sdk.models.heatmap import HeatmapColorMode
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

from dashboards.model import Dashboard, Kind, Panel, Target, Threshold
from dashboards.variables import INTERVALS, SCRAPE_S, Variable, duration

DATASOURCE_UID = "perf-suite-prometheus"
"""Fixed, so that the dashboards find their data source whatever Grafana calls it."""
DATASOURCE = DataSourceRef("prometheus", DATASOURCE_UID)

AnyPanel = gauge.Panel | heatmap.Panel | stat.Panel | timeseries.Panel


def grafana_json(dashboard: Dashboard, variables: Sequence[Variable]) -> str:
    """The text of `json/<uid>.json`."""
    built = (
        grafana.Dashboard(dashboard.title)
        .uid(dashboard.uid)
        .description(dashboard.description)
        .tags(["load-test", "perf-suite"])
        .readonly()
        .timezone("browser")
        .time("now-30m", "now")
        .refresh(duration(SCRAPE_S))
        .tooltip(DashboardCursorSync.CROSSHAIR)
        .with_variable(_interval())
    )
    for variable in variables:
        built.with_variable(_query(variable))
    for panel in dashboard.panels:
        built.with_panel(_panel(panel))
    plain = json.loads(JSONEncoder().encode(built.build()))
    return json.dumps(plain, ensure_ascii=False, indent=2, sort_keys=True) + "\n"


def _interval() -> grafana.IntervalVariable:
    options = [VariableOption(text=each, value=each, selected=each == INTERVALS[0]) for each in INTERVALS]
    return (
        grafana.IntervalVariable("interval")
        .label("Interval")
        .values(",".join(INTERVALS))
        .options(options)
        .current(options[0])
    )


def _query(variable: Variable) -> grafana.QueryVariable:
    return (
        grafana.QueryVariable(variable.name)
        .label(variable.label)
        .datasource(DATASOURCE)
        .query(variable.query)
        .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
        .include_all(True)
        .multi(True)
        .all_value(variable.all_value)
        .current(VariableOption(text=["All"], value=["$__all"], selected=True))
    )


def _panel(panel: Panel) -> AnyPanel:
    built = _BUILDERS[panel.kind](panel)
    grid = panel.grid
    built.id(panel.number).title(panel.title).description(panel.description).unit(panel.unit).datasource(DATASOURCE)
    built.grid_pos(GridPos(grid.h, grid.w, grid.x, grid.y)).thresholds(_thresholds(panel.thresholds))
    for number, target in enumerate(panel.targets):
        ref = chr(ord("A") + number)
        built.with_target(_target(target, ref, panel.of_buckets))
        if target.unit:
            right = DynamicConfigValue("custom.axisPlacement", "right")
            built.override_by_query(ref, [DynamicConfigValue("unit", target.unit), right])
    return built


def _target(target: Target, ref: str, of_buckets: bool) -> prometheus.Dataquery:
    query = prometheus.Dataquery().expr(target.expr).legend_format(target.legend).ref_id(ref).range()
    return query.format(PromQueryFormat.HEATMAP if of_buckets else PromQueryFormat.TIME_SERIES).datasource(DATASOURCE)


def _thresholds(thresholds: Sequence[Threshold]) -> grafana.ThresholdsConfig:
    steps = [GrafanaThreshold(None, "green"), *(GrafanaThreshold(each.above, each.colour) for each in thresholds)]
    return grafana.ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps(steps)


def _stat(_: Panel) -> stat.Panel:
    return stat.Panel().color_mode(BigValueColorMode.BACKGROUND).reduce_options(_newest())


def _gauge(_: Panel) -> gauge.Panel:
    return gauge.Panel().min(0).reduce_options(_newest())


def _timeseries(_: Panel) -> timeseries.Panel:
    tooltip = shared.VizTooltipOptions().mode(TooltipDisplayMode.MULTI).sort(SortOrder.DESCENDING)
    return timeseries.Panel().tooltip(tooltip).fill_opacity(10).show_points(VisibilityMode.AUTO)


def _heatmap(panel: Panel) -> heatmap.Panel:
    colour = heatmap.HeatmapColorOptions().mode(HeatmapColorMode.SCHEME).scheme("Oranges").steps(64)
    built = heatmap.Panel().calculate(False).color(colour).show_tooltip().show_legend()
    if panel.of_buckets:
        return built.y_axis(heatmap.YAxisConfig().unit(panel.unit))
    return built.cell_values(heatmap.CellValues().unit(panel.unit))


def _newest() -> shared.ReduceDataOptions:
    return shared.ReduceDataOptions().calcs(["lastNotNull"])


_BUILDERS: Mapping[Kind, Callable[[Panel], AnyPanel]] = {
    Kind.STAT: _stat,
    Kind.GAUGE: _gauge,
    Kind.TIMESERIES: _timeseries,
    Kind.HEATMAP: _heatmap,
}
