"""Both dashboards as the design draws them, with the corrections in every query, and their JSON as it is committed."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from core.errors import ConfigError
from dashboards.generate import HERE, check_queries, datasource, generated, main, outdated, write
from dashboards.grafana_json import DATASOURCE_UID
from dashboards.model import COLUMNS, Kind, Panel, Target, Traffic, page
from dashboards.pages import all_panels, dashboards
from dashboards.panels import timeseries
from dashboards.promql import selectors
from dashboards.variables import choose, fill
from targets.model import Metrics, load_profile

PORTAL = load_profile("portal").metrics
DIALECTS = {
    "docker: application on series, a name a container": PORTAL,
    "portal-universe": load_profile("portal-universe").metrics,
    "job as the service's name": PORTAL.model_copy(update={"service_label": "job"}),
    "service as relabelled by the platform": PORTAL.model_copy(update={"service_label": "service"}),
    "compose's own label": PORTAL.model_copy(update={"container_label": "container_label_com_docker_compose_service"}),
}
"""The label dialects of platform.md 6."""

OVERVIEW = [
    [("k6: Total RPS", "gauge"), ("k6: Error Rate", "stat"), ("k6: Active VUs", "timeseries")],
    [
        ("k6: Response Time", "heatmap"),
        ("k6: p95 Latency per endpoint", "timeseries"),
        ("k6: p99 Latency per endpoint", "timeseries"),
    ],
    [("CPU: Per Service", "timeseries"), ("Memory: Per Service", "timeseries"), ("Network I/O", "timeseries")],
    [
        ("MySQL: Active Connections", "timeseries"),
        ("Redis: Hit Rate & Memory", "timeseries"),
        ("Kafka: Consumer Lag", "timeseries"),
    ],
]
"""Design 5.1."""
BOTTLENECK = [
    ["Service Latency Heatmap"],
    ["RED: Request Rate per Service", "RED: Error Rate per Service", "RED: Duration p50/p95/p99"],
    ["USE: CPU Utilization", "USE: Memory Saturation", "USE: Network Errors"],
    ["DB Pool: Active vs Max", "DB Pool: Wait Time", "HikariCP: Timeout Count"],
    ["Redis: Ops/sec by command", "Redis: Eviction Rate", "Redis: Memory vs maxmemory"],
    ["Kafka: Produce Rate", "Kafka: Consume Rate", "Kafka: Lag Trend"],
]
"""Design 5.2."""
MAY_BE_CONSTANT = {
    "RED: Error Rate per Service",
    "USE: Memory Saturation",
    "USE: Network Errors",
    "HikariCP: Timeout Count",
    "Redis: Eviction Rate",
    "Redis: Memory vs maxmemory",
    "Kafka: Lag Trend",
}


def rows(panels: tuple[Panel, ...]) -> list[list[Panel]]:
    heights = sorted({panel.grid.y for panel in panels})
    return [[panel for panel in panels if panel.grid.y == y] for y in heights]


def queries(metrics: Metrics = PORTAL) -> Iterator[tuple[str, str]]:
    for panel in all_panels(metrics):
        yield from ((panel.title, target.expr) for target in panel.targets)


class TestPages:
    def test_have_28_panels_with_ids_of_their_own(self) -> None:
        assert len({panel.id for panel in all_panels(PORTAL)}) == 28

    def test_show_the_load_as_the_design_draws_it(self) -> None:
        overview, _ = dashboards(PORTAL)
        assert [[(each.title, each.kind.value) for each in row] for row in rows(overview.panels)] == OVERVIEW

    def test_show_bottlenecks_as_the_design_draws_them(self) -> None:
        _, bottleneck = dashboards(PORTAL)
        assert [[each.title for each in row] for row in rows(bottleneck.panels)] == BOTTLENECK
        assert bottleneck.panels[0].kind is Kind.HEATMAP

    def test_fill_every_row_from_edge_to_edge(self) -> None:
        for dashboard in dashboards(PORTAL):
            for row in rows(dashboard.panels):
                assert [each.grid.x for each in row] == [index * each.grid.w for index, each in enumerate(row)]
                assert sum(each.grid.w for each in row) == COLUMNS

    @pytest.mark.parametrize("panel", all_panels(PORTAL), ids=lambda panel: panel.id)
    def test_explain_each_panel(self, panel: Panel) -> None:
        assert len(panel.description) > 20
        assert panel.description.endswith(".")
        assert panel.unit

    def test_say_which_panels_of_bottleneck_detection_may_be_constant(self) -> None:
        _, bottleneck = dashboards(PORTAL)
        assert {panel.title for panel in bottleneck.panels if not panel.live} == MAY_BE_CONSTANT

    def test_ask_events_only_of_kafkas_panels(self) -> None:
        assert {panel.title for panel in all_panels(PORTAL) if panel.needs is Traffic.EVENTS} == {
            panel.title for panel in all_panels(PORTAL) if panel.title.startswith("Kafka: ")
        }


class TestEveryQuery:
    @pytest.mark.parametrize("dialect", DIALECTS)
    def test_is_promql_with_its_variables_filled_in(self, dialect: str) -> None:
        for title, expr in queries(DIALECTS[dialect]):
            assert selectors(fill(expr, choose(DIALECTS[dialect]), 15), title)

    def test_takes_k6s_durations_from_the_native_histogram(self) -> None:
        """Corrections 2."""
        k6 = [expr for _, expr in queries() if "k6_http_req_duration" in expr]
        assert len(k6) == 3
        assert [expr for expr in k6 if "_bucket" in expr or "le" in re.findall(r"by \(([^)]*)\)", expr)] == []

    def test_divides_a_part_that_may_be_absent_as_a_or_b_times_0(self) -> None:
        """Corrections 12."""
        assert [title for title, expr in queries() if "vector(0)" in expr] == []
        errors = {title: expr for title, expr in queries() if "Error Rate" in title}
        for expr in errors.values():
            assert re.fullmatch(r"\((.+) or (.+) \* 0\) / \2", expr)
        assert len(errors) == 2

    def test_matches_a_variable_as_a_regular_expression(self) -> None:
        """Corrections 13."""
        used = [(title, match[1]) for title, expr in queries() for match in re.finditer(r'(=~?|!~|!=)"\$\w', expr)]
        assert [each for each in used if each[1] != "=~"] == []
        assert len(used) > 28

    @pytest.mark.parametrize("label", ["application", "job", "service"])
    def test_names_services_by_the_label_of_the_profile(self, label: str) -> None:
        """Corrections 16."""
        metrics = PORTAL.model_copy(update={"service_label": label})
        for _, expr in queries(metrics):
            found = [each for each in selectors(fill(expr, choose(metrics), 15)) if each.metric.startswith("hikaricp")]
            assert all([name for name, _ in each.matchers] == [label] for each in found)
        assert label == "application" or not any("application" in expr for _, expr in queries(metrics))

    def test_leaves_out_the_limiters_refusals_from_k6s_latencies(self) -> None:
        """Corrections 20."""
        durations = [expr for _, expr in queries() if "k6_http_req_duration" in expr]
        assert [expr for expr in durations if 'status!="429"' not in expr] == []

    def test_of_k6_is_about_the_chosen_run_and_scenario(self) -> None:
        """Corrections 21."""
        for title, expr in queries():
            for each in selectors(fill(expr, choose(PORTAL), 15)):
                if each.metric.startswith("k6_"):
                    assert {"run_id", "scenario"} <= {label for label, _ in each.matchers}, title


class TestGeneratedFiles:
    def test_are_current(self) -> None:
        assert outdated(generated(PORTAL), HERE) == []

    def test_are_the_same_twice(self) -> None:
        assert generated(PORTAL) == generated(PORTAL)

    @pytest.mark.parametrize("dashboard", dashboards(PORTAL), ids=lambda dashboard: dashboard.uid)
    def test_hold_what_the_panels_say(self, dashboard: Any) -> None:
        drawn = json.loads((HERE / "json" / f"{dashboard.uid}.json").read_text(encoding="utf-8"))
        assert drawn["uid"] == dashboard.uid
        assert [each["title"] for each in drawn["panels"]] == [panel.title for panel in dashboard.panels]
        for each, panel in zip(drawn["panels"], dashboard.panels, strict=True):
            assert each["type"] == panel.kind.value
            assert each["description"] == panel.description
            assert each["fieldConfig"]["defaults"]["unit"] == panel.unit
            assert [target["expr"] for target in each["targets"]] == [target.expr for target in panel.targets]
            assert {target["datasource"]["uid"] for target in each["targets"]} == {DATASOURCE_UID}

    @pytest.mark.parametrize("uid", ["load-test-overview", "bottleneck-detection"])
    def test_hold_the_designs_variables_and_the_runs(self, uid: str) -> None:
        drawn = json.loads((HERE / "json" / f"{uid}.json").read_text(encoding="utf-8"))
        found = {each["name"]: each for each in drawn["templating"]["list"]}
        assert set(found) == {"service", "interval", "run_id", "scenario"}
        assert found["interval"]["query"] == "1m,5m,15m"
        assert [found[name]["includeAll"] for name in ("service", "run_id", "scenario")] == [True] * 3
        assert found["service"]["allValue"].startswith("(api-gateway|")

    def test_ask_for_a_native_histogram_as_a_heatmap(self) -> None:
        drawn = json.loads((HERE / "json" / "load-test-overview.json").read_text(encoding="utf-8"))
        formats = {each["title"]: each["targets"][0]["format"] for each in drawn["panels"]}
        assert [title for title, form in formats.items() if form == "heatmap"] == ["k6: Response Time"]

    def test_put_a_query_with_a_unit_of_its_own_on_the_right(self) -> None:
        drawn = json.loads((HERE / "json" / "load-test-overview.json").read_text(encoding="utf-8"))
        redis = next(each for each in drawn["panels"] if each["title"] == "Redis: Hit Rate & Memory")
        (override,) = redis["fieldConfig"]["overrides"]
        assert override["matcher"] == {"id": "byFrameRefID", "options": "B"}
        assert {each["id"]: each["value"] for each in override["properties"]} == {
            "unit": "bytes",
            "custom.axisPlacement": "right",
        }

    def test_provision_the_data_source_that_the_dashboards_name(self) -> None:
        (source,) = datasource()["datasources"]
        assert source["uid"] == DATASOURCE_UID


class TestGenerate:
    def test_writes_what_its_check_accepts(self, tmp_path: Path) -> None:
        assert main(["--out", str(tmp_path)]) == 0
        assert main(["--out", str(tmp_path), "--check"]) == 0

    def test_check_names_the_file_that_is_not_current(self, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        write(generated(PORTAL), tmp_path)
        (tmp_path / "json/bottleneck-detection.json").write_text("{}")
        assert main(["--out", str(tmp_path), "--check"]) == 1
        assert "bottleneck-detection.json is not current. Run `python -m dashboards.generate`." in caplog.text

    def test_refuses_an_unknown_target_in_one_line(self, caplog: pytest.LogCaptureFixture) -> None:
        assert main(["--target", "nowhere"]) == 2
        assert "unknown target 'nowhere'" in caplog.text

    def test_names_the_panel_whose_query_is_no_promql(self) -> None:
        broken = timeseries("A: Panel", "A broken query.", "s", (Target("sum(rate(x[1m])", "x"),))
        with pytest.raises(ConfigError, match=r"not valid PromQL.*\(page/a-panel\).*dashboards/queries.py"):
            check_queries(page("page", "Page", "A page.", ((broken,),)), PORTAL)
