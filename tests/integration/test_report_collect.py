"""Collecting from a real Prometheus: a day of known series, k6's own native histograms, and a server that goes away."""

from __future__ import annotations

import math
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import orjson
import pytest

from core.checks import SCENARIOS
from core.settings import process_environment
from core.words import Verdict
from infra.embedded.programs import Installed, ProgramId, ensure
from report.build import build
from report.catalogue import SeriesSpec, catalogue
from report.collect import collect
from report.histograms import histogram_series, threshold_histograms
from report.model import ThresholdRow
from report.native import bounds
from report.prometheus import Window
from report.store import Collected, load_collected
from targets.model import load_profile
from tests.prometheus_process import free_port, make_blocks, prometheus_at
from tests.report_samples import facts, scenario

RUN_ID = "20260301T020000Z-portal-smoke-a1b2"
STEP_S = 5
STEPS = 17_281
"""24 h at 5 s, both ends: more than the 11,000 points of one range query."""
DAY_STARTED = math.floor(time.time() - 90_000) // 60 * 60
"""25 h ago."""
DAY = Window.from_epoch(DAY_STARTED, DAY_STARTED + (STEPS - 1) * STEP_S)
GAP = range(600, 800)
"""Steps in which nothing reports its clients: longer than Prometheus' five minutes of looking back."""
SPECS = catalogue(load_profile("portal"), RUN_ID)
MANY_TO_MANY = SeriesSpec(
    "refused",
    "kafka",
    "Refused",
    "count",
    "Refused.",
    "kafka_consumergroup_lag + on () http_server_requests_seconds_count",
)


def open_metrics() -> str:
    """A day of the services' counters (10/s; api-gateway 1/s of 5xx beside), their probes, Redis, and two traps."""
    counters = {
        'application="api-gateway",uri="/products",status="200"': 10,
        'application="api-gateway",uri="/products",status="503"': 1,
        'application="api-gateway",uri="/actuator/prometheus",status="200"': 7,
        'application="auth-service",uri="/login",status="200"': 10,
    }
    moments = [(step, DAY_STARTED + step * STEP_S) for step in range(STEPS)]
    lines = ["# TYPE http_server_requests_seconds_count unknown"]
    lines += [
        f"http_server_requests_seconds_count{{{labels}}} {rate * STEP_S * step} {at}"
        for labels, rate in counters.items()
        for step, at in moments
    ]
    lines += ["# TYPE redis_connected_clients gauge"]
    lines += [f"redis_connected_clients {'NaN' if step == 3 else 12} {at}" for step, at in moments if step not in GAP]
    lines += ["# TYPE kafka_consumergroup_lag gauge"]
    lines += [
        f'kafka_consumergroup_lag{{consumergroup="g",topic="t",partition="{partition}"}} {step % 50} {at}'
        for partition in (0, 1)
        for step, at in moments
    ]
    lines += ["# TYPE k6_vus gauge", *(f'k6_vus{{run_id="another run"}} 1 {at}' for _, at in moments[:100])]
    return "\n".join([*lines, "# EOF", ""])


@pytest.fixture(scope="module")
def programs() -> dict[ProgramId, Installed]:
    return ensure([ProgramId.PROMETHEUS, ProgramId.K6])


@pytest.fixture(scope="module")
def day(programs: dict[ProgramId, Installed], tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """The URL of a Prometheus that holds the day, and a run directory."""
    folder = tmp_path_factory.mktemp("day")
    installed = programs[ProgramId.PROMETHEUS]
    make_blocks(installed, folder, open_metrics())
    with prometheus_at(installed, folder) as url:
        yield url, folder


@pytest.fixture(scope="module")
def collected(day: tuple[str, Path]) -> Collected:
    url, run_dir = day
    return collect(url, DAY, STEP_S, (*SPECS, MANY_TO_MANY), RUN_ID, run_dir)


class TestADay:
    def test_has_a_point_each_step_over_several_range_queries(self, collected: Collected) -> None:
        gateway = next(line for line in collected.lines("service_requests") if line.name == "api-gateway")
        # The first point has no rate yet; from the second on there is one each 5 s, up to the last.
        assert len(gateway.values) == STEPS - 1
        assert set(np.diff(gateway.times_ms)) == {STEP_S * 1_000}
        assert gateway.times_ms[-1] == (DAY_STARTED + (STEPS - 1) * STEP_S) * 1_000

    def test_counts_load_and_leaves_probes_out(self, collected: Collected) -> None:
        # 10/s answered well and 1/s with 503, without the 7/s of the metrics endpoint.
        rates = {line.name: float(np.median(line.values)) for line in collected.lines("service_requests")}
        assert rates == pytest.approx({"api-gateway": 11.0, "auth-service": 10.0})

    def test_a_service_without_errors_has_zero_errors_and_not_no_data(self, collected: Collected) -> None:
        errors = {line.name: float(np.median(line.values)) for line in collected.lines("service_errors")}
        assert errors == pytest.approx({"api-gateway": 1.0, "auth-service": 0.0})

    def test_sums_a_groups_lag_over_its_partitions(self, collected: Collected) -> None:
        [lag] = collected.lines("kafka_lag")
        assert (lag.name, lag.values.max()) == ("g, t", 98.0)

    def test_keeps_a_hole_and_a_value_that_is_not_a_number(self, collected: Collected) -> None:
        [clients] = collected.lines("redis_clients")
        assert np.isnan(clients.values).sum() == 1
        assert np.diff(clients.times_ms).max() > 600_000

    def test_tells_a_missing_metric_from_one_that_has_nothing_here(self, collected: Collected) -> None:
        states = {row.id: row.state for row in collected.rows}
        assert states["mysql_connections"] == "missing"
        assert "mysql_global_status_threads_connected" in collected.why_not("mysql_connections")
        assert states["k6_vus"] == "empty"
        assert "k6_vus exists" in collected.why_not("k6_vus")

    def test_a_query_that_prometheus_refuses_costs_no_other(self, collected: Collected) -> None:
        assert collected.rows[-1].state == "failed"
        assert "many-to-many" in collected.rows[-1].note
        assert sum(row.state == "data" for row in collected.rows) == 4

    def test_is_the_same_when_it_is_read_back_from_parquet(self, collected: Collected, day: tuple[str, Path]) -> None:
        again = load_collected(day[1])
        assert again.rows == collected.rows
        np.testing.assert_array_equal(again.lines("kafka_lag")[0].values, collected.lines("kafka_lag")[0].values)

    def test_can_be_judged_from_parquet_alone(self, day: tuple[str, Path]) -> None:
        hour = timedelta(hours=1)
        ran = scenario("a", 0, 1, started=DAY.started + hour, ended=DAY.started + 2 * hour)
        gates = {gate.id: gate for gate in build(facts(scenarios=[ran]), load_collected(day[1])).gates}
        # 1 of 11 answers was a 503.
        assert gates["server-error-ratio"].observed == "9.091% (api-gateway)"


GENERATORS = ("1", "2")


@dataclass(frozen=True)
class K6Run:
    """What two k6 of one scenario left in Prometheus, and what each said itself."""

    collected: Collected
    summaries: Sequence[Mapping[str, float]]  # of http_req_duration, in milliseconds

    @property
    def threshold(self) -> ThresholdRow:
        """Of all generators, at a bound that none of them is near."""
        answers = sum(int(each["count"]) for each in self.summaries)
        return ThresholdRow(metric=JUDGED, expression="p(95)<5000", ok=True, samples=answers)


JUDGED = "http_req_duration{expected_response:true,name:product_list}"


@pytest.fixture(scope="module")
def k6_run(programs: dict[ProgramId, Installed], tmp_path_factory: pytest.TempPathFactory) -> K6Run:
    folder = tmp_path_factory.mktemp("k6")
    began = datetime.now(UTC)
    specs = [*(spec for spec in SPECS if spec.group == "k6"), *histogram_series(RUN_ID)]
    with prometheus_at(programs[ProgramId.PROMETHEUS], folder) as url, slow_server(0.05) as target:
        with ThreadPoolExecutor() as pool:
            running = [pool.submit(run_k6, programs[ProgramId.K6], folder, target, url, name) for name in GENERATORS]
        window = Window(began, datetime.now(UTC))
        found = collect(url, window, 1, specs, RUN_ID, folder, ends=[window.ended])
    assert [row.state for row in found.rows] == ["data"] * 5, [row.note for row in found.rows]
    return K6Run(load_collected(folder), [each.result() for each in running])


class TestK6:
    def test_latency_comes_from_native_histograms(self, k6_run: K6Run) -> None:
        [latency] = k6_run.collected.lines("k6_latency_p95")
        assert latency.name == "product_list"
        # The server takes 50 ms; a native histogram of schema 3 is off by at most 9 % of a value.
        assert 0.045 < np.nanmax(latency.values) < 0.25
        assert {line.values.max() for line in k6_run.collected.lines("k6_failures")} == {0.0}

    def test_each_generators_histogram_holds_every_answer_and_its_own_p95(self, k6_run: K6Run) -> None:
        """From the parquet file, against what each k6 said at its end: they agree within the bucket's width."""
        row = scenario("a", 0, 1, thresholds=(k6_run.threshold,))
        generators = threshold_histograms(k6_run.collected, [row])["a", JUDGED]
        for own, said in zip(generators, k6_run.summaries, strict=True):
            assert sum(bucket.count for bucket in own) == said["count"]
            low, high = bounds(own, 0.95) or (0, 0)
            assert low * 1000 < said["p(95)"] <= high * 1000
            assert high / low < 1.2

    def test_several_generators_are_judged_by_their_merged_histogram(self, k6_run: K6Run) -> None:
        given = facts(scenarios=[scenario("a", 0, 1, thresholds=(k6_run.threshold,))], generators=len(GENERATORS))
        report = build(given, k6_run.collected)
        gate = next(gate for gate in report.gates if gate.id.startswith("k6-a-"))
        assert gate.verdict is Verdict.PASS
        assert "in the histogram of 2 generators p(95) lies between" in gate.observed
        assert report.check("scenario-a-thresholds").verdict is Verdict.PASS


class TestPrometheusThatGoesAway:
    def test_before_the_first_question_makes_every_row_say_so(self) -> None:
        found = collect(f"http://127.0.0.1:{free_port()}", DAY, STEP_S, SPECS, RUN_ID, patience_s=1)
        assert {row.state for row in found.rows} == {"failed"}
        assert all("Prometheus does not answer" in row.note for row in found.rows)
        assert found.series == {}

    def test_between_two_questions_is_not_asked_for_the_rest(self) -> None:
        with torn_server() as (url, asked):
            found = collect(url, DAY, STEP_S, SPECS, RUN_ID, patience_s=0)
        assert {row.state for row in found.rows} == {"failed"}
        assert "had stopped answering" in found.rows[-1].note
        assert len(asked) <= 5  # the list of names, and what four threads had under way

    def test_and_comes_back_costs_no_series(self, programs: dict[ProgramId, Installed], day: tuple[str, Path]) -> None:
        """A restart in mid-collection: the same data, one second later."""
        _, folder = day
        copy, port = folder / "again", free_port()
        shutil.copytree(folder / "data", copy / "data", ignore=shutil.ignore_patterns("lock"))
        found: list[Collected] = []
        with prometheus_at(programs[ProgramId.PROMETHEUS], copy, port=port) as url:
            assert collect(url, DAY, STEP_S, SPECS, RUN_ID, patience_s=0).rows
        asking = threading.Thread(target=lambda: found.append(collect(url, DAY, STEP_S, SPECS, RUN_ID)))
        asking.start()
        with prometheus_at(programs[ProgramId.PROMETHEUS], copy, port=port):
            asking.join(timeout=60)
        assert [row.id for row in found[0].rows if row.state == "data"] == [
            "service_requests",
            "service_errors",
            "redis_clients",
            "kafka_lag",
        ]


@contextmanager
def served(handler: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def slow_server(answer_after_s: float) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            threading.Event().wait(answer_after_s)
            self.send_response(200)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *_: object) -> None:
            """Quiet."""

    with served(Handler) as url:
        yield url


@contextmanager
def torn_server() -> Iterator[tuple[str, list[str]]]:
    """Answers the list of names, then hangs up on every question; also what it was asked."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            body = b'{"status":"success","data":[]}'
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_POST(self) -> None:
            asked.append(self.path)
            self.close_connection = True

        def log_message(self, *_: object) -> None:
            """Quiet."""

    with served(Handler) as url:
        yield url, asked


def run_k6(installed: Installed, folder: Path, target: str, prometheus_url: str, generator: str) -> Mapping[str, float]:
    """Two virtual users for three seconds; k6's own figures of its latency."""
    script, summary = folder / f"script-{generator}.js", folder / f"summary-{generator}.json"
    script.write_text(
        "import http from 'k6/http';\n"
        "const load = { executor: 'constant-vus', vus: 2, duration: '3s' };\n"
        f"export const options = {{ scenarios: {{ '{SCENARIOS['a']}': load }},\n"
        f"  thresholds: {{ '{JUDGED}': ['p(95)<5000'] }}, summaryTrendStats: ['count', 'p(95)'] }};\n"
        f"export default () => http.get('{target}', {{ tags: {{ name: 'product_list' }} }});\n",
        encoding="utf-8",
    )
    environment = process_environment(
        **installed.env,
        K6_PROMETHEUS_RW_SERVER_URL=f"{prometheus_url}/api/v1/write",
        K6_PROMETHEUS_RW_TREND_AS_NATIVE_HISTOGRAM="true",
        K6_PROMETHEUS_RW_PUSH_INTERVAL="1s",
    )
    options = ["--quiet", "--no-usage-report", "--address=127.0.0.1:0", "--out=experimental-prometheus-rw"]
    labels = {"run_id": RUN_ID, "generator": generator}
    tags = [f"--tag={name}={value}" for name, value in labels.items()]
    command = [str(installed.path), "run", *options, *tags, f"--summary-export={summary}", str(script)]
    done = subprocess.run(command, env=environment, capture_output=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr.decode()
    figures: Mapping[str, float] = orjson.loads(summary.read_bytes())["metrics"][JUDGED]
    return figures
