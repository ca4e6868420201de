"""Both dashboards as the design draws them, with the corrections in every query, and their JSON as it is committed."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from core.errors import ConfigError
from core.settings import ROOT
from dashboards import objectives
from dashboards.generate import HERE, check_queries, datasource, generated, main, outdated, write
from dashboards.grafana_json import DATASOURCE_UID, TAG
from dashboards.model import COLUMNS, Kind, Panel, Target, Threshold, Traffic, page
from dashboards.pages import all_panels, dashboards
from dashboards.panels import timeseries
from dashboards.promql import selectors
from dashboards.variables import choose, fill
from report.gate_file import gates_for
from targets.model import Metrics, load_profile

PORTAL = load_profile("portal").metrics
GATES = gates_for(load_profile("portal")).gates
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


def limits(pattern: str) -> set[float]:
    """Every number that the scripts' thresholds have at this place."""
    scripts = [file.read_text(encoding="utf-8") for file in sorted((ROOT / "k6" / "scenarios").glob("*.js"))]
    return {float(number) for script in scripts for number in re.findall(pattern, script)}


def values(thresholds: tuple[Threshold, ...]) -> list[float]:
    return [each.above for each in thresholds]


class TestThresholds:
    """From the objectives, not invented."""

    def test_of_p95_are_the_strictest_and_the_loosest_objective_of_the_scripts(self) -> None:
        found = limits(r"'p\(95\)<(\d+)'")
        assert values(objectives.LATENCY_P95_S) == [min(found) / 1000, max(found) / 1000]

    def test_of_p99_are_the_only_objective_of_the_scripts(self) -> None:
        assert {each * 1000 for each in values(objectives.LATENCY_P99_S)} == limits(r"'p\(99\)<(\d+)'")

    def test_of_failed_requests_are_the_scripts_without_the_sold_out_coupons(self) -> None:
        sold_out = 0.5  # scenario C: 400 of 500 are refused by design
        assert values(objectives.FAILED_RATIO) == sorted(limits(r"'rate<([\d.]+)'") - {sold_out})

    def test_of_the_services_and_of_kafka_are_the_reports_gates(self) -> None:
        assert values(objectives.SERVER_ERROR_RATIO) == [GATES["server-error-ratio"].bound / 100]
        assert values(objectives.LAG_RECORDS)[-1] == GATES["kafka-lag-max"].bound

    def test_are_on_these_panels(self) -> None:
        found = {panel.title: values(panel.thresholds) for panel in all_panels(PORTAL) if panel.thresholds}
        assert found == {
            "k6: Error Rate": [0.001, 0.01],
            "k6: p95 Latency per endpoint": [0.05, 0.5],
            "k6: p99 Latency per endpoint": [0.5],
            "Kafka: Consumer Lag": [1_000, 10_000],
            "RED: Error Rate per Service": [0.001],
            "RED: Duration p50/p95/p99": [0.5, 1],
            "USE: Memory Saturation": [0.85, 0.95],
            "HikariCP: Timeout Count": [1, 5],
            "Kafka: Lag Trend": [1_000, 10_000],
        }

    def test_are_dashed_lines_where_grafana_draws_over_time(self) -> None:
        for each in drawn_panels():
            steps = each["fieldConfig"]["defaults"]["thresholds"]["steps"]
            if each["type"] == "timeseries" and len(steps) > 1:
                assert each["fieldConfig"]["defaults"]["custom"]["thresholdsStyle"] == {"mode": "dashed"}
                assert [step["color"] for step in steps] in (["green", "red"], ["green", "yellow", "red"])


def drawn_panels() -> list[dict[str, Any]]:
    """All panels as they are committed."""
    files = sorted((HERE / "json").glob("*.json"))
    return [panel for file in files for panel in json.loads(file.read_text(encoding="utf-8"))["panels"]]


class TestLinks:
    TRACED = {
        "k6: Response Time",
        "k6: p95 Latency per endpoint",
        "k6: p99 Latency per endpoint",
        "Service Latency Heatmap",
        "RED: Request Rate per Service",
        "RED: Error Rate per Service",
        "RED: Duration p50/p95/p99",
        "DB Pool: Wait Time",
    }

    def test_lead_from_each_dashboard_to_the_other_with_time_and_variables(self) -> None:
        for file in sorted((HERE / "json").glob("*.json")):
            drawn = json.loads(file.read_text(encoding="utf-8"))
            (link,) = drawn["links"]
            assert (link["type"], link["keepTime"], link["includeVars"]) == ("dashboards", True, True)
            assert set(link["tags"]) == {TAG} <= set(drawn["tags"])

    def test_lead_from_latencies_to_zipkin_over_the_time_range(self) -> None:
        urls = {}
        for each in drawn_panels():
            for link in (*each.get("links", []), *each["fieldConfig"]["defaults"].get("links", [])):
                urls[each["title"]] = link["url"]
        assert set(urls) == self.TRACED
        for url in urls.values():
            assert url.startswith("http://127.0.0.1:9411/zipkin/?")
            assert "lookback=range&startTs=${__from}&endTs=${__to}" in url

    def test_ask_zipkin_for_the_service_of_the_line(self) -> None:
        """The label is one that the query leaves on its answer."""
        for each in drawn_panels():
            for link in each["fieldConfig"]["defaults"].get("links", []):
                for label in re.findall(r"__field\.labels\.(\w+)", link["url"]):
                    assert all(f"by ({label}" in target["expr"] for target in each["targets"])

    def test_lead_to_the_zipkin_of_the_profile(self) -> None:
        files = generated(PORTAL, "http://zipkin.test:9411/")
        assert "http://zipkin.test:9411/zipkin/?" in files["json/bottleneck-detection.json"]


class TestLegends:
    def test_name_newest_and_highest_value_of_every_line(self) -> None:
        legends = [each["options"]["legend"] for each in drawn_panels() if each["type"] == "timeseries"]
        assert [legend["calcs"] for legend in legends] == [["lastNotNull", "max"]] * 23


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
