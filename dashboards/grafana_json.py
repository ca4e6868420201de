"""Grafana's JSON of a dashboard, through grafana-foundation-sdk; sorted: a changed query is a changed line."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence

from grafana_foundation_sdk.builders import common as shared
from grafana_foundation_sdk.builders import dashboard as grafana
from grafana_foundation_sdk.builders import gauge, heatmap, prometheus, stat, timeseries
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.common import (
    BigValueColorMode,
    GraphTresholdsStyleMode,
    LegendDisplayMode,
    LegendPlacement,
    SortOrder,
    TooltipDisplayMode,
    VisibilityMode,
)
from grafana_foundation_sdk.models.dashboard import (
    DashboardCursorSync,
    DashboardLinkType,
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
TAG = "perf-suite"
"""On both dashboards, so that each finds the other."""
ZIPKIN_URL = "http://127.0.0.1:9411"
"""Zipkin as a browser beside the stack reaches it: the design's host port."""
TRACES_SHOWN = 100

AnyPanel = gauge.Panel | heatmap.Panel | stat.Panel | timeseries.Panel


def grafana_json(dashboard: Dashboard, variables: Sequence[Variable], zipkin_url: str = ZIPKIN_URL) -> str:
    """The text of `json/<uid>.json`; its panels link to traces at `zipkin_url`."""
    built = (
        grafana.Dashboard(dashboard.title)
        .uid(dashboard.uid)
        .description(dashboard.description)
        .tags(["load-test", TAG])
        .readonly()
        .timezone("browser")
        .time("now-30m", "now")
        .refresh(duration(SCRAPE_S))
        .tooltip(DashboardCursorSync.CROSSHAIR)
        .with_variable(_interval())
        .link(_siblings())
    )
    for variable in variables:
        built.with_variable(_query(variable))
    for panel in dashboard.panels:
        built.with_panel(_panel(panel, zipkin_url))
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


def traces_url(panel: Panel, zipkin_url: str) -> str:
    """Zipkin's search page for the time range on show, and for the service of the line where the panel has one.

    The parameters are those that Zipkin's own page writes into its address; Grafana fills `${...}`.
    """
    service = f"serviceName=${{__field.labels.{panel.traces_of}}}&" if panel.traces_of else ""
    window = "lookback=range&startTs=${__from}&endTs=${__to}"
    return f"{zipkin_url.rstrip('/')}/zipkin/?{service}{window}&limit={TRACES_SHOWN}"


def _siblings() -> grafana.DashboardLink:
    """The other dashboard, with the same time range and variables."""
    link = grafana.DashboardLink("Performance tests").type(DashboardLinkType.DASHBOARDS).tags([TAG])
    return link.as_dropdown(False).keep_time(True).include_vars(True)


def _traces(panel: Panel, zipkin_url: str) -> grafana.DashboardLink:
    return grafana.DashboardLink("Traces in Zipkin").url(traces_url(panel, zipkin_url)).target_blank(True)


def _panel(panel: Panel, zipkin_url: str) -> AnyPanel:
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
    if panel.traces_of is not None:
        link = _traces(panel, zipkin_url)
        built.links([link]) if panel.kind is Kind.HEATMAP else built.data_links([link])
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


def _timeseries(panel: Panel) -> timeseries.Panel:
    tooltip = shared.VizTooltipOptions().mode(TooltipDisplayMode.MULTI).sort(SortOrder.DESCENDING)
    legend = shared.VizLegendOptions().display_mode(LegendDisplayMode.TABLE).placement(LegendPlacement.BOTTOM)
    legend.show_legend(True).calcs(["lastNotNull", "max"])
    built = timeseries.Panel().tooltip(tooltip).legend(legend).fill_opacity(10).show_points(VisibilityMode.AUTO)
    if panel.thresholds:
        built.thresholds_style(shared.GraphThresholdsStyleConfig().mode(GraphTresholdsStyleMode.DASHED))
    return built


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
