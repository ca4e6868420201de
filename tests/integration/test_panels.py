"""The panels against a real Prometheus: exact answers on made-up series, then both dashboards beside a real k6.

The made-up series are backfilled (`promtool tsdb create-blocks-from openmetrics`), a case an hour, so that one
Prometheus answers for all of them. Native histograms cannot be backfilled: those come from k6's remote write.
"""

from __future__ import annotations

import subprocess
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from core.settings import ROOT, process_environment
from core.words import Verdict
from dashboards.drawn import draw_answers
from dashboards.engine import Engine, PanelAnswer, State
from dashboards.model import Panel, Traffic
from dashboards.pages import all_panels
from dashboards.prometheus import Prometheus
from dashboards.sampler import Sampler
from dashboards.variables import choose
from dashboards.verify import dashboard_live_check, k6_panels_check, panels_data_check
from infra.embedded.programs import Installed, ProgramId, ensure
from targets.model import Metrics, load_profile
from tests.prometheus_process import eventually, prometheus_at

PORTAL = load_profile("portal").metrics
SCRAPE_S = 5
CASE_S = 600
"""Length of a case's series: ten minutes of scrapes, so that the 5 min windows are full."""


# -- made-up series ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Line:
    """A made-up series: its first value, and by how much it grows a second."""

    name: str
    per_s: float = 0.0
    start: float = 0.0

    def samples(self, start: float) -> Iterator[str]:
        for offset in range(0, CASE_S + 1, SCRAPE_S):
            yield f"{self.name} {self.start + self.per_s * offset} {start + offset:.0f}"


def requests(service: str, status: str, per_s: float, label: str = "application") -> Line:
    return Line(f'http_server_requests_seconds_count{{{label}="{service}",uri="/x",status="{status}"}}', per_s)


def k6_requests(expected: str, per_s: float) -> Line:
    return Line(f'k6_http_reqs_total{{run_id="r",scenario="a",expected_response="{expected}"}}', per_s)


CASES: Mapping[str, tuple[Line, ...]] = {
    "nothing": (),
    "no errors": (
        k6_requests("true", 20),
        requests("shopping-service", "200", 8),
        requests("blog-service", "200", 4),
        requests("somebody-else", "500", 4),
        Line('http_server_requests_seconds_count{application="blog-service",uri="/actuator/health",status="200"}', 50),
    ),
    "errors": (
        k6_requests("true", 19),
        k6_requests("false", 1),
        requests("shopping-service", "200", 6),
        requests("shopping-service", "500", 2),
        requests("shopping-service", "409", 8),
        requests("blog-service", "200", 4),
    ),
    "labelled by job": (requests("blog-service", "200", 4, label="job"),),
    "containers": (
        Line('container_cpu_usage_seconds_total{id="/x",name="blog-service",cpu="total"}', 0.5),
        Line('container_cpu_usage_seconds_total{id="/y",name="shopping-service",cpu="total"}', 0.5),
        Line('container_cpu_usage_seconds_total{id="/z",name="mysql",cpu="total"}', 1),
        Line('container_spec_cpu_quota{id="/y",name="shopping-service"}', start=100_000),
        Line('container_spec_cpu_period{id="/y",name="shopping-service"}', start=100_000),
        Line("machine_cpu_cores", start=2),
        Line('process_cpu_usage{application="blog-service"}', start=0.9),
        Line('process_cpu_usage{application="auth-service"}', start=0.1),
        Line('container_memory_usage_bytes{id="/x",name="blog-service"}', start=300),
        Line('container_memory_working_set_bytes{id="/x",name="blog-service"}', start=200),
        Line('container_memory_working_set_bytes{id="/y",name="shopping-service"}', start=200),
        Line('container_spec_memory_limit_bytes{id="/x",name="blog-service"}'),
        Line('container_spec_memory_limit_bytes{id="/y",name="shopping-service"}', start=800),
        Line("machine_memory_bytes", start=1000),
        Line('process_resident_memory_bytes{application="auth-service"}', start=100),
        Line('jvm_memory_used_bytes{application="api-gateway",area="heap",id="Eden"}', start=30),
        Line('jvm_memory_max_bytes{application="api-gateway",area="heap",id="Eden"}', start=-1),
        Line('jvm_memory_used_bytes{application="api-gateway",area="heap",id="Tenured"}', start=50),
        Line('jvm_memory_max_bytes{application="api-gateway",area="heap",id="Tenured"}', start=100),
        Line('container_network_receive_bytes_total{id="/",interface="eth0"}', 1),
        Line('container_network_receive_bytes_total{id="/x",name="blog-service",interface="eth0"}', 70),
    ),
    "host network": (
        Line('container_network_receive_bytes_total{id="/",interface="eth0"}', 30),
        Line('container_network_receive_errors_total{id="/",interface="eth0"}'),
    ),
    "compose labels": (
        Line('container_cpu_usage_seconds_total{id="/x",container_label_com_docker_compose_service="blog-service"}', 1),
    ),
    "idle stores": (
        Line('hikaricp_connections_acquire_seconds_sum{application="blog-service",pool="p"}', start=5),
        Line('hikaricp_connections_acquire_seconds_count{application="blog-service",pool="p"}', start=10),
        Line("redis_keyspace_hits_total", start=3),
        Line("redis_keyspace_misses_total", start=1),
        Line('kafka_topic_partition_current_offset{topic="orders",partition="0"}', start=7),
    ),
    "busy stores": (
        Line('hikaricp_connections_acquire_seconds_sum{application="blog-service",pool="p"}', 0.5),
        Line('hikaricp_connections_acquire_seconds_count{application="blog-service",pool="p"}', 10),
        Line('hikaricp_connections_usage_seconds_sum{application="blog-service",pool="p"}', 2.5),
        Line('hikaricp_connections_timeout_total{application="blog-service",pool="p"}', 0.01),
        Line("redis_keyspace_hits_total", 9, start=1),
        Line("redis_keyspace_misses_total", 1, start=999_999),
        Line('kafka_topic_partition_current_offset{topic="orders",partition="0"}', 3),
        Line('kafka_topic_partition_current_offset{topic="orders",partition="1"}', 4),
        Line('kafka_topic_partition_current_offset{topic="__consumer_offsets",partition="0"}', 50),
        Line('kafka_consumergroup_lag{consumergroup="g",topic="orders",partition="0"}', 2),
        Line('kafka_consumergroup_lag{consumergroup="g",topic="orders",partition="1"}', 1),
    ),
}
FIRST_CASE = (time.time() // 7200 - 24) * 7200
"""Two days ago, on a block's border."""


def case_start(case: str) -> float:
    return FIRST_CASE + list(CASES).index(case) * 3600


def open_metrics() -> str:
    lines = [text for case, series in CASES.items() for line in series for text in line.samples(case_start(case))]
    return "\n".join([*lines, "# EOF", ""])


# -- programs ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def programs() -> dict[ProgramId, Installed]:
    return ensure([ProgramId.PROMETHEUS, ProgramId.K6])


@pytest.fixture(scope="module")
def backfilled(programs: dict[ProgramId, Installed], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """A Prometheus that holds CASES."""
    installed = programs[ProgramId.PROMETHEUS]
    folder = tmp_path_factory.mktemp("backfilled")
    (folder / "series.txt").write_text(open_metrics(), encoding="utf-8")
    promtool = installed.path.with_name("promtool")
    blocks = ["tsdb", "create-blocks-from", "openmetrics", str(folder / "series.txt"), str(folder / "data")]
    subprocess.run([str(promtool), *blocks], check=True, capture_output=True, env=process_environment(**installed.env))
    with prometheus_at(installed, folder, {"scrape_configs": []}) as url:
        client = Prometheus(url)
        yield client
        client.close()


# -- exact answers -----------------------------------------------------------------------------------


def panel(title: str, metrics: Metrics = PORTAL) -> Panel:
    return next(each for each in all_panels(metrics) if each.title == title)


def engine(prometheus: Prometheus, metrics: Metrics = PORTAL) -> Engine:
    return Engine(prometheus, choose(metrics))


def ask(prometheus: Prometheus, case: str, title: str, metrics: Metrics = PORTAL) -> PanelAnswer:
    return engine(prometheus, metrics).ask_now(panel(title, metrics), case_start(case) + CASE_S)


def values(answer: PanelAnswer) -> dict[str, float | None]:
    return {series.legend: series.values[0] for target in answer.targets for series in target.series}


def about(**expected: float) -> Any:
    return pytest.approx({name.replace("_", "-"): value for name, value in expected.items()}, rel=0.02)


class TestErrorRatio:
    """Corrections 12."""

    def test_of_k6_is_0_without_errors(self, backfilled: Prometheus) -> None:
        assert values(ask(backfilled, "no errors", "k6: Error Rate")) == {"errors": 0.0}

    def test_as_the_design_writes_it_has_no_data_without_errors(self, backfilled: Prometheus) -> None:
        design = 'sum(rate(k6_http_reqs_total{expected_response="false"}[1m])) / sum(rate(k6_http_reqs_total[1m]))'
        assert backfilled.instant(design, case_start("no errors") + CASE_S) == ()
        assert backfilled.instant(design, case_start("errors") + CASE_S) != ()

    def test_of_k6_is_the_share_of_unexpected_answers(self, backfilled: Prometheus) -> None:
        assert values(ask(backfilled, "errors", "k6: Error Rate")) == about(errors=1 / 20)

    def test_of_services_is_0_without_5xx(self, backfilled: Prometheus) -> None:
        found = values(ask(backfilled, "no errors", "RED: Error Rate per Service"))
        assert found == {"shopping-service": 0.0, "blog-service": 0.0}

    def test_of_services_counts_5xx_only(self, backfilled: Prometheus) -> None:
        found = values(ask(backfilled, "errors", "RED: Error Rate per Service"))
        assert found == about(shopping_service=2 / 16, blog_service=0)

    def test_is_no_data_without_requests(self, backfilled: Prometheus) -> None:
        assert ask(backfilled, "nothing", "k6: Error Rate").state is State.EMPTY


class TestServices:
    def test_all_of_them_are_those_of_the_profile(self, backfilled: Prometheus) -> None:
        """Corrections 13 and 16; probes are left out: 4 req/s, not 54."""
        found = values(ask(backfilled, "no errors", "RED: Request Rate per Service"))
        assert found == about(shopping_service=8, blog_service=4)

    def test_matched_with_equality_are_none(self, backfilled: Prometheus) -> None:
        everyone = choose(PORTAL)["service"]
        design = f'http_server_requests_seconds_count{{application="{everyone}"}}'
        assert backfilled.instant(design, case_start("no errors") + CASE_S) == ()

    def test_are_found_under_the_label_that_the_profile_names(self, backfilled: Prometheus) -> None:
        by_job = PORTAL.model_copy(update={"service_label": "job"})
        answer = ask(backfilled, "labelled by job", "RED: Request Rate per Service", by_job)
        assert values(answer) == about(blog_service=4)
        assert ask(backfilled, "labelled by job", "RED: Request Rate per Service").state is State.EMPTY

    def test_cpu_comes_from_the_container_else_from_the_process(self, backfilled: Prometheus) -> None:
        found = values(ask(backfilled, "containers", "CPU: Per Service"))
        assert found == about(blog_service=0.5, shopping_service=0.5, auth_service=0.1 * 2)

    def test_cpu_utilization_is_of_the_quota_else_of_the_machine(self, backfilled: Prometheus) -> None:
        found = values(ask(backfilled, "containers", "USE: CPU Utilization"))
        assert found == about(shopping_service=0.5, blog_service=0.25, auth_service=0.1)

    def test_memory_comes_from_container_then_process_then_jvm(self, backfilled: Prometheus) -> None:
        found = values(ask(backfilled, "containers", "Memory: Per Service"))
        assert found == about(blog_service=300, auth_service=100, api_gateway=80)

    def test_memory_saturation_skips_jvm_pools_without_a_maximum(self, backfilled: Prometheus) -> None:
        found = values(ask(backfilled, "containers", "USE: Memory Saturation"))
        expected = about(shopping_service=0.25, blog_service=0.2, api_gateway=0.5, auth_service=0.1)
        assert found == expected

    def test_containers_are_found_under_the_label_that_the_profile_names(self, backfilled: Prometheus) -> None:
        compose = PORTAL.model_copy(update={"container_label": "container_label_com_docker_compose_service"})
        assert values(ask(backfilled, "compose labels", "CPU: Per Service", compose)) == about(blog_service=1)
        assert ask(backfilled, "compose labels", "CPU: Per Service").state is State.EMPTY


class TestNetwork:
    def test_is_by_service_where_containers_have_a_network(self, backfilled: Prometheus) -> None:
        received = ask(backfilled, "containers", "Network I/O").targets[0]
        assert {series.legend: series.values[0] for series in received.series} == pytest.approx({"blog-service in": 70})

    def test_is_by_interface_of_the_host_where_services_share_it(self, backfilled: Prometheus) -> None:
        received = ask(backfilled, "host network", "Network I/O").targets[0]
        assert {series.legend: series.values[0] for series in received.series} == pytest.approx({"host eth0 in": 30})

    def test_errors_of_0_are_data(self, backfilled: Prometheus) -> None:
        assert ask(backfilled, "host network", "USE: Network Errors").targets[0].state is State.CONSTANT


class TestStores:
    @pytest.mark.parametrize(
        ("case", "title", "expected"),
        [
            ("idle stores", "DB Pool: Wait Time", {"blog-service p": 0}),
            ("busy stores", "DB Pool: Wait Time", {"blog-service p": 0.05}),
            ("busy stores", "HikariCP: Timeout Count", {"blog-service p": 3}),
            ("idle stores", "Redis: Hit Rate & Memory", {"hit rate": 0.75}),
            ("busy stores", "Redis: Hit Rate & Memory", {"hit rate": 0.9}),
            ("busy stores", "Kafka: Produce Rate", {"orders": 7}),
            ("idle stores", "Kafka: Produce Rate", {"orders": 0}),
            ("busy stores", "Kafka: Lag Trend", {"g orders": 3 * CASE_S, "g orders growth": 3}),
            ("idle stores", "Kafka: Consumer Lag", {}),
        ],
    )
    def test_answer(self, backfilled: Prometheus, case: str, title: str, expected: dict[str, float]) -> None:
        assert values(ask(backfilled, case, title)) == pytest.approx(expected, rel=0.02)

    def test_a_pool_in_use_on_average_is_seconds_of_use_a_second(self, backfilled: Prometheus) -> None:
        found = values(ask(backfilled, "busy stores", "DB Pool: Active vs Max"))
        assert found == pytest.approx({"blog-service p in use (mean)": 2.5}, rel=0.02)


class TestMissing:
    def cause(self, prometheus: Prometheus, case: str, title: str, metrics: Metrics = PORTAL) -> str:
        asked = panel(title, metrics).targets[0]
        return engine(prometheus, metrics).missing(asked, case_start(case) + CASE_S)

    def test_names_the_metric_and_its_exporter(self, backfilled: Prometheus) -> None:
        said = self.cause(backfilled, "nothing", "MySQL: Active Connections")
        assert said.startswith("mysql_global_status_threads_connected has no series (given by mysqld_exporter")

    def test_says_what_spring_needs_for_buckets(self, backfilled: Prometheus) -> None:
        said = self.cause(backfilled, "errors", "RED: Duration p50/p95/p99")
        assert "http_server_requests_seconds_bucket has no series" in said
        assert "percentiles-histogram.http.server.requests=true" in said

    def test_names_the_label_that_no_series_has(self, backfilled: Prometheus) -> None:
        said = self.cause(backfilled, "compose labels", "CPU: Per Service")
        assert "container_cpu_usage_seconds_total has no series with name=~" in said

    def test_says_which_values_the_label_has(self, backfilled: Prometheus) -> None:
        other = PORTAL.model_copy(update={"services": ("cart",)})
        said = self.cause(backfilled, "no errors", "RED: Request Rate per Service", other)
        assert "application=~\"cart\": its label 'application' is blog-service, shopping-service, somebody-else" in said

    def test_asks_for_a_committed_offset(self, backfilled: Prometheus) -> None:
        said = self.cause(backfilled, "idle stores", "Kafka: Consumer Lag")
        assert "kafka_exporter, for a group that has committed an offset" in said


class TestEngine:
    def test_answers_a_range_with_a_point_a_step(self, backfilled: Prometheus) -> None:
        start = case_start("no errors")
        answer = engine(backfilled).ask(panel("k6: Total RPS"), start + 60, start + CASE_S, 30)
        (series,) = answer.targets[0].series
        assert len(series.times) == (CASE_S - 60) / 30 + 1
        assert series.values[-1] == pytest.approx(20, rel=0.02)

    def test_reports_a_refused_query_in_prometheuss_words(self, backfilled: Prometheus) -> None:
        answer = Engine(backfilled, {**choose(PORTAL), "interval": "soon"}).ask_now(panel("k6: Total RPS"), time.time())
        assert answer.state is State.EMPTY
        assert "bad duration" in answer.error or "parse error" in answer.error


# -- both dashboards beside a real k6 ----------------------------------------------------------------

SERVICES = ("api-gateway", "blog-service")
K6_SCRIPT = """
import http from 'k6/http';
export const options = {
  scenarios: { blog: { executor: 'constant-arrival-rate', rate: 20, timeUnit: '1s', duration: '8s',
                       preAllocatedVUs: 10 } },
  systemTags: ['status', 'name', 'expected_response'],
};
export default function () {
  http.get(`${__ENV.URL}/post`, { tags: { name: 'post_list' } });
  http.get(`${__ENV.URL}/refused`, { tags: { name: 'post_list' } });
}
"""


def exposition(age_s: float, left_out: str) -> str:
    """All that the exporters and services give, `age_s` after the load began; nothing that starts with `left_out`."""
    n = age_s
    application = [f'application="{service}",environment="test"' for service in SERVICES]
    lines = [
        "machine_cpu_cores 2\nmachine_memory_bytes 8000000000",
        *(
            f'container_network_{direction}_{what}_total{{id="/",interface="eth0"}} {n if what == "bytes" else 0}'
            for direction in ("receive", "transmit")
            for what in ("bytes", "errors")
        ),
        *(f'container_cpu_usage_seconds_total{{name="{each}",id="/s"}} {n * n / 20}' for each in SERVICES),
        *(f'container_memory_usage_bytes{{name="{each}",id="/s"}} 50000000' for each in SERVICES),
        *(f'container_memory_working_set_bytes{{name="{each}",id="/s"}} 40000000' for each in SERVICES),
        *(f'http_server_requests_seconds_count{{{each},uri="/x",status="200"}} {n * n}' for each in application),
        *(
            f'http_server_requests_seconds_bucket{{{each},uri="/x",status="200",le="{le}"}} {count}'
            for each in application
            for le, count in (("0.1", n * n - n), ("0.5", n * n), ("+Inf", n * n))
        ),
        *(f'hikaricp_connections_{state}{{{application[1]},pool="p"}} 1' for state in ("active", "pending", "max")),
        f'hikaricp_connections_usage_seconds_sum{{{application[1]},pool="p"}} {n * n / 10}',
        f'hikaricp_connections_acquire_seconds_sum{{{application[1]},pool="p"}} {n * n / 100}',
        f'hikaricp_connections_acquire_seconds_count{{{application[1]},pool="p"}} {n}',
        f'hikaricp_connections_timeout_total{{{application[1]},pool="p"}} 0',
        "mysql_global_status_threads_connected 5\nmysql_global_status_threads_running 1",
        "mysql_global_variables_max_connections 151",
        f"redis_keyspace_hits_total {9 * n}\nredis_keyspace_misses_total {n}",
        f'redis_memory_used_bytes 1000000\nredis_memory_max_bytes 0\nredis_commands_total{{cmd="get"}} {n * n}',
        "redis_evicted_keys_total 0",
        f'kafka_topic_partition_current_offset{{topic="orders",partition="0"}} {n * n}',
        f'kafka_consumergroup_current_offset{{consumergroup="g",topic="orders",partition="0"}} {n * n}',
        'kafka_consumergroup_lag{consumergroup="g",topic="orders",partition="0"} 0',
    ]
    kept = [line for text in lines for line in text.split("\n") if not (left_out and line.startswith(left_out))]
    return "\n".join([*kept, ""])


@contextmanager
def platform(left_out: str = "") -> Iterator[str]:
    """A server that answers k6 slowly on /post, refuses quickly on /refused, and exposes /metrics; its `host:port`."""
    began = time.monotonic()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            if self.path == "/post":
                threading.Event().wait(0.05)
            body = exposition(time.monotonic() - began, left_out) if self.path == "/metrics" else "{}"
            self.send_response(429 if self.path == "/refused" else 200)
            self.send_header("Content-Type", "text/plain")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *_: object) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def run_k6(installed: Installed, folder: Path, target: str, prometheus_url: str) -> None:
    script = folder / "script.js"
    script.write_text(K6_SCRIPT, encoding="utf-8")
    environment = process_environment(
        URL=f"http://{target}",
        K6_PROMETHEUS_RW_SERVER_URL=f"{prometheus_url}/api/v1/write",
        K6_PROMETHEUS_RW_TREND_AS_NATIVE_HISTOGRAM="true",
        K6_PROMETHEUS_RW_PUSH_INTERVAL="1s",
    )
    tags = ["--tag", "run_id=r1", "--tag", "scenario=b-blog-read"]
    options = ["--quiet", "--no-usage-report", "--address", "127.0.0.1:0", "--out", "experimental-prometheus-rw"]
    command = [str(installed.path), "run", *options, *tags, str(script)]
    done = subprocess.run(command, env=environment, capture_output=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr.decode()


@dataclass(frozen=True)
class Seen:
    """What was seen beside one load, from `start` to `end` (unix seconds)."""

    sampler: Sampler
    engine: Engine
    start: float
    end: float


@contextmanager
def watched_load(programs: dict[ProgramId, Installed], folder: Path, left_out: str = "") -> Iterator[Seen]:
    with platform(left_out) as target:
        scrapes = [
            {"job_name": "blog-service", "static_configs": [{"targets": [target]}]},
        ]
        config = {
            "global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"},
            "rule_files": [str(ROOT / "infra/prometheus/rules.yml")],
            "scrape_configs": scrapes,
        }
        with prometheus_at(programs[ProgramId.PROMETHEUS], folder, config) as url:
            asked = Engine.of(url, PORTAL, "r1")
            eventually("the exporters are scraped", lambda: asked.prometheus.instant("up > 0", time.time()))
            start = time.time()
            with Sampler(asked, all_panels(PORTAL), every_s=1) as sampler:
                run_k6(programs[ProgramId.K6], folder, target, url)
                loaded = time.time()
                rule = f"count_over_time({panel('Service Latency Heatmap').targets[0].expr.split('{')[0]}[1m]) > 1"
                eventually(
                    "the recording rule was evaluated twice (every 15 s)",
                    lambda: asked.prometheus.instant(rule, time.time()),
                    within_s=60,
                )
            yield Seen(sampler, asked, start, loaded)
            asked.prometheus.close()


@pytest.fixture(scope="module")
def seen(programs: dict[ProgramId, Installed], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seen]:
    with watched_load(programs, tmp_path_factory.mktemp("load")) as seen:
        yield seen


class TestBothDashboardsUnderLoad:
    def test_every_panel_has_data(self, seen: Seen) -> None:
        result = panels_data_check(seen.sampler.samples())
        assert (result.verdict, result.observed) == (Verdict.PASS, "28 of 28 panels had data under load")

    def test_the_k6_panels_have_data(self, seen: Seen) -> None:
        result = k6_panels_check(seen.sampler.samples())
        assert (result.verdict, result.observed) == (Verdict.PASS, "6 of 6 panels had data under load")

    def test_the_live_panels_of_bottleneck_detection_move(self, seen: Seen) -> None:
        result = dashboard_live_check(seen.sampler.samples())
        assert result.verdict is Verdict.PASS, result.observed

    def test_k6s_durations_are_a_native_histogram(self, seen: Seen) -> None:
        """Corrections 2: the design's series with `_bucket` does not exist."""
        assert seen.engine.prometheus.count("k6_http_req_duration_seconds", seen.end) > 0
        assert seen.engine.prometheus.count("k6_http_req_duration_seconds_bucket", seen.end) == 0

    def test_refusals_are_left_out_of_latencies(self, seen: Seen) -> None:
        """Corrections 20: /post takes at least 50 ms, /refused a few; both are named post_list."""
        rows = seen.engine.ask_now(panel("k6: Response Time"), seen.end).targets[0].series
        bounds = [float(series.legend) for series in rows]
        assert min(bounds) > 0.05
        everything = seen.engine.prometheus.instant(
            'histogram_quantile(0.1, sum(rate(k6_http_req_duration_seconds{run_id="r1"}[1m])))', seen.end
        )
        assert everything[0].points[0][1] < 0.05

    def test_the_limiters_refusals_are_errors_all_the_same(self, seen: Seen) -> None:
        assert values(seen.engine.ask_now(panel("k6: Error Rate"), seen.end)) == pytest.approx(
            {"errors": 0.5}, abs=0.05
        )

    def test_another_runs_series_are_left_out(self, seen: Seen) -> None:
        """Corrections 21."""
        other = Engine(seen.engine.prometheus, choose(PORTAL, run_id="r2"))
        assert other.ask_now(panel("k6: Total RPS"), seen.end).state is State.EMPTY

    def test_are_drawn_over_the_window(self, seen: Seen) -> None:
        rows = draw_answers(seen.engine, seen.sampler.samples(), seen.start, seen.end)
        assert [row["title"] for row in rows] == [each.title for each in all_panels(PORTAL)]
        assert {row["verdict"] for row in rows} == {"PASS"}
        assert [row["title"] for row in rows if not row["series"]] == []


class TestAPlatformThatLacksAnExporter:
    def test_is_named_with_the_panels_that_miss_it(self, programs: dict[ProgramId, Installed], tmp_path: Path) -> None:
        with watched_load(programs, tmp_path, left_out="redis_") as seen:
            samples = seen.sampler.samples()
        result = panels_data_check(samples)
        assert result.verdict is Verdict.FAIL
        assert result.observed.startswith("24 of 28 panels had data under load")
        said = "Redis: Eviction Rate (empty): redis_evicted_keys_total has no series (given by redis_exporter: is it up"
        assert said in result.observed
        live = dashboard_live_check(samples, traffic=(Traffic.REQUESTS,))
        assert "Redis: Ops/sec by command: redis_commands_total has no series" in live.observed
