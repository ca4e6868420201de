"""28 of 28 panels in every label dialect and from the first scrapes on, and a sentence for each thing that is missing.

Whole made-up platforms go into one Prometheus by remote write, half an hour apart; the sampler and its check look at
the end of each, as they look while a load runs.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from core.checks import Check
from core.words import Verdict
from dashboards.drawn import draw_answers
from dashboards.engine import Engine, State
from dashboards.missing import source
from dashboards.pages import all_panels
from dashboards.prometheus import Prometheus
from dashboards.promql import selectors
from dashboards.sampler import PanelSamples, Sampler, Samples
from dashboards.thinning import BUCKETS
from dashboards.variables import choose, fill
from dashboards.verify import panels_data_check
from infra.embedded.programs import Installed, ProgramId, ensure
from targets.model import Metrics, load_profile
from tests.made_up import Line, Platform, renamed, write
from tests.prometheus_process import NATIVE_HISTOGRAMS, REMOTE_WRITE, Worlds, prometheus_at

PORTAL = load_profile("portal").metrics
ALL_28 = "28 of 28 panels had data under load"
MINUTE_S = 60
COMPOSE = "container_label_com_docker_compose_service"
DIALECTS: Mapping[str, Platform] = {
    "application": Platform(PORTAL),
    "job": Platform(PORTAL.model_copy(update={"service_label": "job"})),
    "service, as relabelled": Platform(PORTAL.model_copy(update={"service_label": "service"})),
    "compose's container label": Platform(PORTAL.model_copy(update={"container_label": COMPOSE})),
    "containers by id only": Platform(PORTAL, containers=False),
    "portal-universe": Platform(load_profile("portal-universe").metrics),
    "portal-universe on macOS": Platform(load_profile("portal-universe").metrics, containers=False),
}
"""The label dialects of platform.md 6."""


@pytest.fixture(scope="module")
def installed() -> Installed:
    return ensure([ProgramId.PROMETHEUS])[ProgramId.PROMETHEUS]


@pytest.fixture(scope="module")
def worlds(installed: Installed, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worlds]:
    with prometheus_at(installed, tmp_path_factory.mktemp("worlds"), {"scrape_configs": []}) as url:
        yield Worlds.of(url)


def judged(url: str, metrics: Metrics, at: float) -> Check:
    """`panels-data`, from one look at unix time `at`."""
    engine = Engine(Prometheus(url), choose(metrics, run_id="r1"))
    sampler = Sampler(engine, all_panels(metrics), clock=lambda: at)
    sampler.look()
    result = panels_data_check(sampler.samples())
    engine.prometheus.close()
    return result


def without_data(result: Check) -> set[str]:
    """Titles of the panels that the check saw empty or without numbers."""
    shown = result.evidence["panels"]
    return {each.title for each in all_panels(PORTAL) if shown[each.id] in ("empty", "nan-only")}


class TestLabelDialect:
    @pytest.mark.parametrize("dialect", DIALECTS)
    def test_finds_the_series_of_all_28_panels(self, worlds: Worlds, dialect: str) -> None:
        platform = DIALECTS[dialect]
        result = judged(worlds.url, platform.metrics, worlds.put(platform.lines(), MINUTE_S))
        assert (result.verdict, result.observed) == (Verdict.PASS, ALL_28)

    @pytest.mark.parametrize(
        ("platform", "says"),
        [
            (
                DIALECTS["job"],
                "hikaricp_connections_active has no series with application=~.*: its label 'application' is not on any "
                "of its series, but 'job' fits. Set metrics.service_label: job in the target profile",
            ),
            (
                DIALECTS["compose's container label"],
                "container_memory_usage_bytes has no series with name=~.*: its label 'name' is not on any of its "
                f"series, but '{COMPOSE}' fits. Set metrics.container_label: {COMPOSE} in the target profile",
            ),
        ],
        ids=["no application", "no name"],
    )
    def test_that_is_not_the_profiles_is_named_with_its_cure(
        self, worlds: Worlds, platform: Platform, says: str
    ) -> None:
        result = judged(worlds.url, PORTAL, worlds.put(platform.lines(), MINUTE_S))
        assert result.verdict is Verdict.FAIL
        before, after = says.split(".*")
        assert before in result.observed
        assert after in result.observed


class TestFirstMinute:
    @pytest.mark.parametrize("every_s", [5, 15], ids=["the suite scrapes", "the platform scrapes"])
    def test_shows_28_panels_after_three_scrapes_without_one_error(self, worlds: Worlds, every_s: int) -> None:
        end = worlds.put(Platform(PORTAL).lines(), length_s=2 * every_s, every_s=every_s)
        result = judged(worlds.url, PORTAL, end)
        assert (result.verdict, result.observed) == (Verdict.PASS, ALL_28)

    def test_after_one_scrape_the_reason_is_that_there_is_one(self, worlds: Worlds) -> None:
        result = judged(worlds.url, PORTAL, worlds.put(Platform(PORTAL).lines(), length_s=0))
        assert "k6: Total RPS (empty): its series are there, but with fewer than two samples" in result.observed


CADVISOR = {
    "CPU: Per Service",
    "Memory: Per Service",
    "Network I/O",
    "USE: CPU Utilization",
    "USE: Memory Saturation",
    "USE: Network Errors",
}
SOURCES: Mapping[str, tuple[Callable[[str], bool], set[str], str]] = {
    "k6": (
        lambda metric: metric.startswith("k6_"),
        {each.title for each in all_panels(PORTAL) if each.title.startswith("k6: ")},
        "k6_http_reqs_total has no series (given by k6's remote write: did k6 run",
    ),
    "cAdvisor": (
        lambda metric: metric.startswith(("container_", "machine_")),
        CADVISOR,
        "container_cpu_usage_seconds_total has no series (given by cAdvisor: is it up, and scraped",
    ),
    "mysqld_exporter": (
        lambda metric: metric.startswith("mysql_"),
        {"MySQL: Active Connections"},
        "mysql_global_status_threads_running has no series (given by mysqld_exporter",
    ),
    "redis_exporter": (
        lambda metric: metric.startswith("redis_"),
        {
            "Redis: Hit Rate & Memory",
            "Redis: Ops/sec by command",
            "Redis: Eviction Rate",
            "Redis: Memory vs maxmemory",
        },
        "redis_evicted_keys_total has no series (given by redis_exporter: is it up, and scraped",
    ),
    "kafka_exporter": (
        lambda metric: metric.startswith("kafka_"),
        {"Kafka: Consumer Lag", "Kafka: Produce Rate", "Kafka: Consume Rate", "Kafka: Lag Trend"},
        "kafka_topic_partition_current_offset has no series (given by kafka_exporter: is it up, and scraped",
    ),
    "committed offsets": (
        lambda metric: metric.startswith("kafka_consumergroup_"),
        {"Kafka: Consumer Lag", "Kafka: Consume Rate", "Kafka: Lag Trend"},
        "kafka_consumergroup_lag has no series (given by kafka_exporter, for a group that has committed an offset",
    ),
    "recording rules": (
        lambda metric: metric.startswith("job:"),
        {"Service Latency Heatmap"},
        "job:http_latency_p95:rate5m has no series (given by the recording rules: does Prometheus load infra/",
    ),
    "the services": (
        lambda metric: metric.startswith(("http_server_", "hikaricp_")),
        {
            "RED: Request Rate per Service",
            "RED: Error Rate per Service",
            "RED: Duration p50/p95/p99",
            "DB Pool: Active vs Max",
            "DB Pool: Wait Time",
            "HikariCP: Timeout Count",
        },
        "http_server_requests_seconds_count has no series (given by the services' /actuator/prometheus: is it up",
    ),
    "percentile histograms": (
        lambda metric: metric.endswith("_bucket"),
        {"RED: Duration p50/p95/p99"},
        "http_server_requests_seconds_bucket has no series (given by the services' /actuator/prometheus, which count "
        "requests without buckets: Spring needs management.metrics.distribution.percentiles-histogram",
    ),
}
"""Source -> (is the metric its own?, the panels that live on it, what is said)."""


NOT_COUNTED = "percentile histograms"
"""The platform's own setting: panels that lack only this are NO_DATA, with what switches it on."""


class TestASourceThatIsGone:
    @pytest.mark.parametrize("name", SOURCES)
    def test_is_named_with_each_panel_that_misses_it(self, worlds: Worlds, name: str) -> None:
        gone, panels, says = SOURCES[name]
        left = [line for line in Platform(PORTAL).lines() if not gone(line.metric)]
        result = judged(worlds.url, PORTAL, worlds.put(left, MINUTE_S))
        assert result.verdict is (Verdict.NO_DATA if name == NOT_COUNTED else Verdict.FAIL)
        assert result.observed.startswith(f"{28 - len(panels)} of 28 panels had data under load")
        assert without_data(result) == panels
        assert says in result.observed


def metrics_of(platform: Platform) -> list[str]:
    return sorted({line.metric for line in platform.lines()})


BY_ID = Platform(PORTAL, containers=False)
EACH_METRIC = [
    *(pytest.param(Platform(PORTAL), metric, id=metric) for metric in metrics_of(Platform(PORTAL))),
    *(
        pytest.param(BY_ID, metric, id=f"{metric}, containers by id")
        for metric in metrics_of(BY_ID)
        if metric not in metrics_of(Platform(PORTAL)) or metric.startswith("machine_")
    ),
]
SPARE = {
    (False, "machine_memory_bytes"): "the JVM's own limit is asked first",
}
"""(containers, metric) -> why no panel misses it."""


def panels_that_ask(metric: str) -> set[str]:
    return {
        panel.title
        for panel in all_panels(PORTAL)
        for target in panel.targets
        if any(each.metric == metric for each in selectors(fill(target.expr, choose(PORTAL), 5)))
    }


class TestAMetricThatIsGone:
    @pytest.mark.parametrize(("platform", "metric"), EACH_METRIC)
    def test_is_named_by_the_panels_that_asked_for_it(self, worlds: Worlds, platform: Platform, metric: str) -> None:
        left = [line for line in platform.lines() if line.metric != metric]
        result = judged(worlds.url, PORTAL, worlds.put(left, MINUTE_S))
        if (platform.containers, metric) in SPARE:
            assert result.observed == ALL_28
            return
        assert result.verdict is (Verdict.NO_DATA if metric.endswith("_bucket") else Verdict.FAIL)
        assert without_data(result)
        assert without_data(result) <= panels_that_ask(metric)
        assert f"{metric} has no series (given by {source(metric).name}" in result.observed

    @pytest.mark.parametrize(
        ("metric", "newer"),
        [
            ("redis_evicted_keys_total", "redis_evicted_keys"),
            ("kafka_consumergroup_lag", "kafka_consumergroup_lag_records"),
            ("mysql_global_status_threads_connected", "mysql_global_status_thread_connections"),
            ("hikaricp_connections_timeout_total", "hikaricp_connections_timeouts_total"),
        ],
    )
    def test_and_has_another_name_in_a_newer_exporter_is_shown_with_that_name(
        self, worlds: Worlds, metric: str, newer: str
    ) -> None:
        lines = renamed(Platform(PORTAL).lines(), metric, newer)
        said = judged(worlds.url, PORTAL, worlds.put(lines, MINUTE_S)).observed
        about_it = said[said.index(f"{metric} has no series") :].split(")")[0]
        assert f"which gives {newer}" in about_it
        assert "if it was renamed, correct dashboards/queries.py" in about_it


class TestALongWindow:
    def test_is_asked_in_pieces_and_drawn_with_its_spike(self, worlds: Worlds) -> None:
        """Two hours of scrapes each 5 s are 1,441 points: more than one query answers, and a panel has pixels."""
        lines = [Line('k6_vus{run_id="r1",scenario="b-blog-read"}', start=5, spike=(4_000, 50))]
        end = worlds.put(lines, length_s=2 * 3600)
        engine = Engine(Prometheus(worlds.url), choose(PORTAL, run_id="r1"))
        (vus,) = (each for each in all_panels(PORTAL) if each.title == "k6: Active VUs")
        seen = PanelSamples(vus, State.LIVE, looks=1, answered=1, cause="", error="")
        (row,) = draw_answers(engine, Samples((seen,), ()), end - 2 * 3600, end)
        engine.prometheus.close()
        (line,) = row["series"]
        assert len(line["values"]) <= 2 * (BUCKETS + 1)
        assert set(line["values"]) == {5.0, 50.0}
        at = line["times"][line["values"].index(50.0)]
        assert abs(at - (end - 2 * 3600 + 4_000)) <= 20


class TestNativeHistograms:
    PANELS = {"k6: Response Time", "k6: p95 Latency per endpoint", "k6: p99 Latency per endpoint"}

    @pytest.mark.parametrize(
        ("features", "says"),
        [
            (
                (REMOTE_WRITE,),
                "Prometheus refuses what comes with a native histogram. Start it with "
                "--enable-feature=native-histograms)",
            ),
            (
                (NATIVE_HISTOGRAMS,),
                "Prometheus takes no remote write. Start it with --web.enable-remote-write-receiver)",
            ),
        ],
        ids=["no native histograms", "no remote write"],
    )
    def test_that_prometheus_refuses_cost_all_of_k6_and_are_named_with_the_flag(
        self, installed: Installed, tmp_path: Path, features: Sequence[str], says: str
    ) -> None:
        """One request of k6 holds all of its series: Prometheus 2.42 keeps none of them."""
        lines = Platform(PORTAL).lines()
        with prometheus_at(installed, tmp_path, {"scrape_configs": []}, features) as url:
            refused = write(url, lines, time.time() - MINUTE_S, MINUTE_S, 5)
            assert refused.status_code >= 400
            result = judged(url, PORTAL, time.time())
        assert f"k6_http_reqs_total has no series (given by k6's remote write: {says}" in result.observed

    def test_that_prometheus_leaves_out_are_named_with_the_flag(self, worlds: Worlds) -> None:
        lines = [line for line in Platform(PORTAL).lines() if not line.took_s]
        result = judged(worlds.url, PORTAL, worlds.put(lines, MINUTE_S))
        assert without_data(result) == self.PANELS
        assert (
            "k6_http_req_duration_seconds has no series (given by k6's remote write, whose other series are there: "
            "Prometheus takes no native histograms. Start it with --enable-feature=native-histograms)"
        ) in result.observed

    def test_that_k6_was_not_told_to_write_are_named_with_the_setting(self, worlds: Worlds) -> None:
        lines = as_gauges(Platform(PORTAL).lines())
        result = judged(worlds.url, PORTAL, worlds.put(lines, MINUTE_S))
        assert without_data(result) == self.PANELS
        assert (
            "k6 wrote k6_http_req_duration_seconds_p99 instead. "
            "Set K6_PROMETHEUS_RW_TREND_AS_NATIVE_HISTOGRAM=true in its environment"
        ) in result.observed


def as_gauges(lines: Sequence[Line]) -> list[Line]:
    """What k6 writes for a trend when it is not told otherwise: its p99 as a gauge."""
    return [
        replace(each, name=each.name.replace("_seconds{", "_seconds_p99{"), per_s=0, start=0.03, took_s=None)
        if each.took_s
        else each
        for each in lines
    ]
