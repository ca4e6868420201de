"""What an answer is called: empty, without numbers, constant or live."""

from __future__ import annotations

import http.server
import math
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pytest

from core.errors import VerificationError
from dashboards.engine import Engine, PanelAnswer, Series, State, TargetAnswer, panel_state, state
from dashboards.missing import source
from dashboards.model import Kind, Panel, Target
from dashboards.prometheus import SILENCE_S, Prometheus
from dashboards.promql import selectors

PANEL = Panel("A", "A panel.", Kind.TIMESERIES, "s", (Target('a{x=~"$service"}', "{{name}} in"),), dashboard="page")
VALUES = {"service": ".*", "run_id": ".*", "scenario": ".*", "interval": "1m"}


@contextmanager
def answering(body: str, status: int = 200) -> Iterator[str]:
    """An HTTP server that gives this answer to everything; its URL."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *_: object) -> None:
            """Quiet."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def vector(*results: str) -> str:
    return f'{{"status":"success","data":{{"resultType":"vector","result":[{",".join(results)}]}}}}'


def ask(body: str, status: int = 200) -> PanelAnswer:
    with answering(body, status) as url:
        prometheus = Prometheus(url)
        try:
            return Engine(prometheus, VALUES).ask_now(PANEL, at=10.0)
        finally:
            prometheus.close()


class TestState:
    @pytest.mark.parametrize(
        ("values", "expected"),
        [
            ([1.0, 2.0], State.LIVE),
            ([5.0, 5.0, 5.0], State.CONSTANT),
            ([0.0, 0.0], State.CONSTANT),
            ([0.0, 0.001], State.LIVE),
            ([-3.0, 3.0], State.LIVE),
            ([1000.0, 1000.9], State.CONSTANT),  # less than 0.1 %: the jitter of scrapes
            ([1000.0, 1001.1], State.LIVE),
            ([None, 7.0], State.CONSTANT),
            ([None, None], State.NAN_ONLY),
            ([], State.NAN_ONLY),
        ],
    )
    def test_of_a_line(self, values: Sequence[float | None], expected: State) -> None:
        assert state(values) is expected

    @pytest.mark.parametrize(
        ("lines", "expected"),
        [
            ([], State.EMPTY),
            ([[None], [None]], State.NAN_ONLY),
            ([[None], [1.0, 1.0]], State.CONSTANT),
            ([[1.0, 1.0], [1.0, 2.0]], State.LIVE),
        ],
    )
    def test_of_a_query_is_its_best_lines(self, lines: list[list[float | None]], expected: State) -> None:
        series = tuple(Series("x", {}, tuple(range(len(line))), tuple(line)) for line in lines)
        assert TargetAnswer("x", series).state is expected

    @pytest.mark.parametrize(
        ("queries", "expected"),
        [
            ([State.LIVE, State.CONSTANT], State.LIVE),
            ([State.CONSTANT, State.CONSTANT], State.CONSTANT),
            ([State.LIVE, State.EMPTY], State.EMPTY),
            ([State.LIVE, State.NAN_ONLY], State.NAN_ONLY),
            ([State.NAN_ONLY, State.EMPTY], State.EMPTY),
        ],
    )
    def test_of_a_panel_needs_every_query(self, queries: list[State], expected: State) -> None:
        assert panel_state(queries) is expected


class TestEngine:
    def test_writes_the_legend_as_grafana_does(self) -> None:
        (series,) = ask(vector('{"metric":{"name":"blog"},"value":[10,"1.5"]}')).targets[0].series
        assert (series.legend, series.times, series.values) == ("blog in", (10.0,), (1.5,))

    @pytest.mark.parametrize("value", ["NaN", "+Inf", "-Inf"])
    def test_draws_no_number_that_is_not_finite(self, value: str) -> None:
        answer = ask(vector(f'{{"metric":{{}},"value":[10,"{value}"]}}'))
        assert answer.targets[0].series[0].values == (None,)
        assert answer.state is State.NAN_ONLY

    def test_merges_a_native_histogram_to_two_rows_a_doubling(self) -> None:
        buckets = '[[0,"0.4","0.5","2"],[0,"0.5","0.6","3"],[0,"0.6","0.7","4"],[0,"0.9","1","5"]]'
        histogram = f'{{"metric":{{}},"histogram":[10,{{"count":"14","sum":"8","buckets":{buckets}}}]}}'
        with answering(vector(histogram)) as url:
            prometheus = Prometheus(url)
            rows = {each.labels["le"]: each.points[0][1] for each in prometheus.instant("x", 10)}
            prometheus.close()
        assert rows == {"0.5": 2.0, f"{2**-0.5:.4g}": 7.0, "1": 5.0}

    def test_keeps_the_row_around_zero_and_the_one_without_end(self) -> None:
        """The bucket around zero ends at 0 or a tiny number, the last may end at +Inf."""
        body = vector('{"metric":{},"histogram":[10,{"buckets":[[3,"-0.1","0","1"],[0,"8","+Inf","2"]]}]}')
        with answering(body) as url:
            prometheus = Prometheus(url)
            rows = {float(each.labels["le"]): each.points[0][1] for each in prometheus.instant("x", 10)}
            prometheus.close()
        assert rows == {0.0: 1.0, math.inf: 2.0}

    def test_keeps_prometheuss_own_words_when_it_refuses(self) -> None:
        answer = ask('{"status":"error","errorType":"bad_data","error":"parse error: unexpected end"}', 400)
        assert answer.state is State.EMPTY
        assert answer.error == "Prometheus refused the query: parse error: unexpected end"

    def test_says_when_something_else_answers(self) -> None:
        assert ask("<html>", 502).error == "not an answer of Prometheus (status 502)"


class TestAServerWithoutPrometheussFlags:
    def test_is_asked_for_no_more_than_the_general_cure(self) -> None:
        """It answers queries only, as Thanos and Mimir do; the stand-in here refuses GET."""
        with answering(vector()) as url:
            prometheus = Prometheus(url)
            said = Engine(prometheus, VALUES).missing(Target("sum(rate(k6_http_reqs_total[1m]))", "x"), at=10.0)
            prometheus.close()
        assert said.startswith("k6_http_reqs_total has no series (given by k6's remote write: did k6 run")


class TestPrometheusThatIsGone:
    def test_is_not_waited_for_query_by_query(self, monkeypatch: pytest.MonkeyPatch) -> None:
        prometheus = Prometheus("http://127.0.0.1:1")
        with pytest.raises(VerificationError, match=r"does not answer.*\(http://127.0.0.1:1/api/v1/query\)") as first:
            prometheus.instant("up", 0)
        with pytest.raises(VerificationError) as second:
            prometheus.instant("up", 0)
        assert second.value is first.value
        later = time.monotonic() + SILENCE_S
        monkeypatch.setattr(time, "monotonic", lambda: later)
        with pytest.raises(VerificationError) as third:
            prometheus.instant("up", 0)
        assert third.value is not first.value
        prometheus.close()


class TestSelectors:
    def test_are_every_series_that_a_query_reads_once(self) -> None:
        expr = 'sum(rate(a{x="1", y=~"b|c"}[1m])) / sum(rate(a{x="1", y=~"b|c"}[1m])) + job:d:rate5m{z!~"e\\\\.f"}'
        assert [str(each) for each in selectors(expr)] == ['a{x="1", y=~"b|c"}', 'job:d:rate5m{z!~"e\\\\.f"}']


class TestSource:
    @pytest.mark.parametrize(
        ("metric", "exporter"),
        [
            ("k6_vus", "k6's remote write"),
            ("job:http_latency_p95:rate5m", "infra/prometheus/rules.yml"),
            ("container_cpu_usage_seconds_total", "cAdvisor"),
            ("mysql_global_status_threads_connected", "mysqld_exporter"),
            ("redis_memory_used_bytes", "redis_exporter"),
            ("kafka_brokers", "kafka_exporter"),
            ("kafka_consumergroup_lag", "committed an offset"),
            ("machine_cpu_cores", "cAdvisor"),
            ("http_server_requests_seconds_bucket", "/actuator/prometheus"),
            ("http_server_requests_seconds_count", "/actuator/prometheus"),
            ("hikaricp_connections_active", "/actuator/prometheus"),
        ],
    )
    def test_of_a_metric(self, metric: str, exporter: str) -> None:
        said = source(metric)
        assert exporter in f"{said.name}: {said.cure}"
