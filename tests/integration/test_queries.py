"""Every named query over series that are written down here: under load with errors, without one, idle, and without any.

The series go in by remote write, native histograms included; a real Prometheus answers.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from dashboards.prometheus import Prometheus
from dashboards.queries import Queries
from dashboards.variables import SCRAPE_S, choose, fill
from infra.embedded.programs import ProgramId, ensure
from targets.model import load_profile
from tests.made_up import Line, Platform
from tests.prometheus_process import Worlds, prometheus_at

METRICS = load_profile("portal").metrics.model_copy(update={"services": ("blog-service",)})
HISTOGRAM = "k6_http_req_duration_seconds"
NAN = math.nan
TROUBLE = {
    "container_network_receive_errors_total": 2.0,
    "container_network_transmit_errors_total": 3.0,
    "hikaricp_connections_timeout_total": 0.01,
    "redis_evicted_keys_total": 0.5,
    "kafka_consumergroup_lag": 0.1,
}
"""Growth a second of what stands still on a good day."""

Answer = Mapping[str, float]


@dataclass(frozen=True)
class Expected:
    """The query's answer, by its labels' values: in trouble, without one error, and while nothing happens."""

    troubled: Answer
    quiet: Answer
    idle: Answer


def same(answer: Answer, idle: Answer | None = None) -> Expected:
    """Errors change nothing; an idle platform has zeros."""
    return Expected(answer, answer, dict.fromkeys(answer, 0.0) if idle is None else idle)


BLOG = "blog-service"
POOL = "blog-service HikariPool-1"
TOPIC = "shopping.order.created"
LAG = f"g {TOPIC}"
QUERIES: Mapping[tuple[str, Any], Expected] = {
    ("k6_request_rate", None): Expected({"": 25}, {"": 20}, {"": 0}),
    ("k6_error_ratio", None): Expected({"": 0.2}, {"": 0}, {"": NAN}),
    ("k6_virtual_users", None): same({"b-blog-read": 5}),
    # 30 ms lie below 2^-5 s; a 429 took 2 s and is not counted
    ("k6_durations", None): same({"0.03125": 20}, idle={}),
    # linear in the bucket from 2^-5.125 to 2^-5 s
    ("k6_latency_by_endpoint", 0.95): same({"post_list": 0.03112}, idle={"post_list": NAN}),
    ("cpu_cores", None): same({BLOG: 0.5}),
    ("cpu_utilization", None): same({BLOG: 0.25}),
    ("memory_bytes", None): same({BLOG: 300e6}, idle={BLOG: 300e6}),
    ("memory_saturation", None): same({BLOG: 0.025}, idle={BLOG: 0.025}),
    ("network_bytes", "receive"): same({BLOG: 1000}),
    ("network_bytes", "transmit"): same({BLOG: 1000}),
    ("network_errors", "receive"): Expected({BLOG: 2}, {BLOG: 0}, {BLOG: 0}),
    ("network_errors", "transmit"): Expected({BLOG: 3}, {BLOG: 0}, {BLOG: 0}),
    ("latency_p95_by_job", None): same({BLOG: 0.0975}, idle={BLOG: 0.0975}),
    ("request_rate", None): Expected({BLOG: 25}, {BLOG: 20}, {BLOG: 0}),
    ("error_ratio", None): Expected({BLOG: 0.2}, {BLOG: 0}, {BLOG: NAN}),
    # all requests lie between 0.05 and 0.1 s
    ("latency", 0.95): same({"": 0.0975}, idle={"": NAN}),
    ("pool_connections", "active"): same({POOL: 2}),
    ("pool_connections", "pending"): same({POOL: 0}),
    ("pool_connections", "max"): same({POOL: 10}, idle={POOL: 10}),
    ("pool_mean_in_use", None): same({POOL: 2}),
    ("pool_wait_s", None): same({POOL: 0.05}),
    ("pool_timeouts", None): Expected({POOL: 3}, {POOL: 0}, {POOL: 0}),
    ("mysql", "status_threads_connected"): same({"": 5}, idle={"": 5}),
    ("redis_hit_ratio", None): same({"": 0.9}, idle={"": NAN}),
    ("redis_memory_used_bytes", None): same({"": 1e6}, idle={"": 1e6}),
    ("redis_memory_max_bytes", None): same({"": 0}),
    ("redis_operations", None): same({"get": 10}),
    ("redis_evictions", None): Expected({"": 0.5}, {"": 0}, {"": 0}),
    ("kafka_produced", None): same({TOPIC: 3}),
    ("kafka_consumed", None): same({"g": 3}),
    # 4 records, and 0.1 a second for ten minutes
    ("kafka_lag", None): Expected({LAG: 64}, {LAG: 4}, {LAG: 4}),
    ("kafka_lag_growth", None): Expected({LAG: 0.1}, {LAG: 0}, {LAG: 0}),
}
ROWS = [pytest.param(*row, id=" ".join(map(str, filter(None, row)))) for row in QUERIES]


def quiet() -> list[Line]:
    return Platform(METRICS).lines()


def troubled() -> list[Line]:
    known = [replace(each, per_s=TROUBLE.get(each.metric, each.per_s)) for each in quiet()]
    identity = 'run_id="r1",scenario="b-blog-read"'
    return [
        *known,
        Line(f'k6_http_reqs_total{{{identity},name="post_list",expected_response="false"}}', 5),
        Line(f'{HISTOGRAM}{{{identity},name="post_list",status="429"}}', 5, took_s=2),
        Line('http_server_requests_seconds_count{application="blog-service",uri="/x",status="500"}', 5),
        Line('http_server_requests_seconds_count{application="blog-service",uri="/actuator/health",status="500"}', 50),
    ]


def idle() -> list[Line]:
    """Series that stand still; whoever could be at work is not."""
    at_rest = {"k6_vus", "hikaricp_connections_active"}
    return [replace(each, per_s=0, start=0 if each.metric in at_rest else each.start) for each in quiet()]


@dataclass(frozen=True)
class Stored:
    """When each world was at its end, in one Prometheus."""

    prometheus: Prometheus
    ends: Mapping[str, float]

    def ask(self, world: str, query: str, argument: Any) -> dict[str, float]:
        """The query's answer at the world's end, by its labels' values."""
        method = getattr(Queries(METRICS), query)
        expr = fill(method() if argument is None else method(argument), choose(METRICS, run_id="r1"), SCRAPE_S)
        answer = self.prometheus.instant(expr, self.ends[world])
        by_labels = (sorted((key, value) for key, value in each.labels.items() if key != "__name__") for each in answer)
        names = [" ".join(value for _, value in labels) for labels in by_labels]
        return {name: each.points[0][1] for name, each in zip(names, answer, strict=True)}


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stored]:
    installed = ensure([ProgramId.PROMETHEUS])[ProgramId.PROMETHEUS]
    folder: Path = tmp_path_factory.mktemp("queries")
    with prometheus_at(installed, folder, {"scrape_configs": []}) as url:
        worlds = Worlds.of(url)
        given = {"nothing": [], "troubled": troubled(), "quiet": quiet(), "idle": idle()}
        prometheus = Prometheus(url)
        yield Stored(prometheus, {name: worlds.put(lines) for name, lines in given.items()})
        prometheus.close()


def test_every_named_query_has_its_row() -> None:
    named = {name for name, _ in inspect.getmembers(Queries, inspect.isfunction) if not name.startswith("_")}
    assert {query for query, _ in QUERIES} == named


@pytest.mark.parametrize(("query", "argument"), ROWS)
class TestQuery:
    def test_counts_what_goes_wrong(self, stored: Stored, query: str, argument: Any) -> None:
        expected = QUERIES[query, argument].troubled
        assert stored.ask("troubled", query, argument) == pytest.approx(expected, rel=0.02, abs=1e-9)

    def test_has_a_number_without_one_error(self, stored: Stored, query: str, argument: Any) -> None:
        expected = QUERIES[query, argument].quiet
        assert stored.ask("quiet", query, argument) == pytest.approx(expected, rel=0.02, abs=1e-9)

    def test_of_an_idle_platform(self, stored: Stored, query: str, argument: Any) -> None:
        expected = QUERIES[query, argument].idle
        assert stored.ask("idle", query, argument) == pytest.approx(expected, rel=0.02, abs=1e-9, nan_ok=True)

    def test_is_empty_without_series(self, stored: Stored, query: str, argument: Any) -> None:
        assert stored.ask("nothing", query, argument) == {}
