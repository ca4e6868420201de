"""The rows of corrections.md that touch the load: a claim that holds here, and not as the design document writes it.

Both are run by the real k6 against the small server of test_k6_runner. The design's scripts are its own lines (section
4.3) with shorter durations and the platform's paths, so that each shows its own mistake only.
"""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from core.settings import process_environment
from core.words import Verdict
from k6.checks import thresholds_check
from k6.model import K6Program, ScenarioResult, Threshold
from tests.integration.test_k6_runner import POSTS, SHORT, Portal, Runner, k6, portal, runner, samples
from tests.integration.test_k6_series import prometheus, series

__all__ = ["k6", "portal", "prometheus", "runner"]

LOGIN = """
import http from 'k6/http';
const BASE_URL = __ENV.BASE_URL;
function login(email, password) {
  const res = http.post(`${BASE_URL}/api/v1/auth/login`, JSON.stringify({ email, password }),
    { headers: { 'Content-Type': 'application/json' } });
  return res.json('data.accessToken');
}
function authHeaders(token) {
  return { headers: { 'Content-Type': 'application/json', 'Authorization': `Bearer ${token}` } };
}
export function setup() {
  return { token: login('loadtest@test.com', 'loadtest123') };
}
export function handleSummary(data) {
  return { [__ENV.SUMMARY]: JSON.stringify(data.metrics) };
}
"""
SHOPPING = """
export const options = {
  scenarios: { shopping_flow: { executor: 'shared-iterations', vus: 4, iterations: 12 } },
  thresholds: {
    'http_req_duration{name:login}': ['p(95)<150'],
    'http_req_duration{name:create_order}': ['p(95)<300'],
  },
};
export default function (data) {
  const params = authHeaders(data.token);
  const products = http.get(`${BASE_URL}/api/v1/shopping/products?page=0&size=20`,
    { ...params, tags: { name: 'product_list' } });
  const productId = products.json('data.content.0.id');
  if (productId) {
    http.get(`${BASE_URL}/api/v1/shopping/products/${productId}`, { ...params, tags: { name: 'product_detail' } });
    http.post(`${BASE_URL}/api/v1/shopping/cart/items`, JSON.stringify({ productId, quantity: 1 }),
      { ...params, tags: { name: 'add_to_cart' } });
  }
}
"""
BLOG = """
export const options = {
  scenarios: { blog_read: { executor: 'shared-iterations', vus: 4, iterations: 60 } },
  thresholds: {
    http_req_failed: ['rate<0.001'],
    'http_req_duration{name:post_detail}': ['p(95)<50'],
  },
};
export default function (data) {
  const params = authHeaders(data.token);
  const postId = Math.floor(Math.random() * 100) + 1;
  http.get(`${BASE_URL}/api/v1/blog/posts/${postId}`, { ...params, tags: { name: 'post_detail' } });
}
"""
COUPON = """
export const options = {
  scenarios: { coupon_spike: { executor: 'shared-iterations', vus: 500, iterations: 500, maxDuration: '30s' } },
  thresholds: { http_req_failed: ['rate<0.5'] },
};
export default function (data) {
  http.post(`${BASE_URL}/api/v1/shopping/coupons/7/issue`, null,
    { ...authHeaders(data.token), tags: { name: 'coupon_issue' } });
}
"""


@dataclass
class Design:
    """Runs the design's scripts as its run.sh does (section 4.4)."""

    k6: K6Program
    folder: Path
    url: str

    def run(self, script: str, *arguments: str, **environment: str) -> Mapping[str, Any]:
        """The metrics of k6's summary; `environment` is that of k6's process."""
        file, summary = self.folder / "script.js", self.folder / "summary.json"
        file.write_text(LOGIN + script, encoding="utf-8")
        done = subprocess.run(
            [
                *(str(self.k6.path), "run", "--quiet", "--no-usage-report", "--address=127.0.0.1:0"),
                *(f"--env=BASE_URL=http://{self.url}", f"--env=SUMMARY={summary}", *arguments, str(file)),
            ],
            env=process_environment(**self.k6.env, **environment),
            capture_output=True,
            timeout=60,
            check=False,
        )
        assert done.returncode in (0, 99), done.stderr.decode()
        found: dict[str, Any] = json.loads(summary.read_text(encoding="utf-8"))
        return found

    def writes_to(self, prometheus: str, test: str) -> None:
        """The coupon spike in small, written to `prometheus`; the tag `test` only sets it apart from other tests."""
        self.run(
            COUPON.replace("500", "30"),
            *("--out=experimental-prometheus-rw", f"--tag=test={test}"),
            K6_PROMETHEUS_RW_SERVER_URL=f"{prometheus}/api/v1/write",
        )


@pytest.fixture
def design(k6: K6Program, portal: Portal, tmp_path: Path) -> Design:
    return Design(k6, tmp_path, portal.url)


def thresholds_of(metrics: Mapping[str, Any]) -> tuple[Threshold, ...]:
    """The thresholds of a design script, with the samples that they were judged on."""
    return tuple(
        Threshold(metric=name, expression=expression, ok=judged["ok"], samples=int(samples_of(metric["values"])))
        for name, metric in sorted(metrics.items())
        for expression, judged in metric.get("thresholds", {}).items()
    )


def samples_of(values: Mapping[str, float]) -> float:
    """k6's own summary has no count of a trend: without samples all of its values are 0."""
    return values["passes"] + values["fails"] if "passes" in values else float(values["max"] > 0)


@dataclass
class Receiver:
    """A remote-write receiver that only counts."""

    url: str
    pushes: list[int] = field(default_factory=list)


@contextmanager
def receiver() -> Iterator[Receiver]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            seen.pushes.append(len(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    seen = Receiver(f"http://127.0.0.1:{server.server_address[1]}/api/v1/write")
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield seen
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class TestRow1TheSeriesGoToTheAddressAskedFor:
    def test_here(self, runner: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
        with receiver() as asked, receiver() as elsewhere:
            monkeypatch.setenv("K6_PROMETHEUS_RW_SERVER_URL", elsewhere.url)
            runner.run("d", remote_write_url=asked.url)
        assert asked.pushes
        assert not elsewhere.pushes

    @pytest.mark.parametrize(
        ("options", "reached"), [((), True), (("--include-system-env-vars=false",), False)], ids=["by luck", "not"]
    )
    def test_not_as_designed(self, design: Design, options: tuple[str, ...], reached: bool) -> None:
        """`--env` is for the script; the output reads the environment of k6's process.

        Where the script may see that environment too, k6 1.8 keeps both in one map (internal/cmd/runtime_options.go).
        """
        with receiver() as asked, receiver() as elsewhere:
            design.run(
                BLOG,
                *("--out=experimental-prometheus-rw", f"--env=K6_PROMETHEUS_RW_SERVER_URL={asked.url}", *options),
                K6_PROMETHEUS_RW_SERVER_URL=elsewhere.url,
            )
        assert (bool(asked.pushes), bool(elsewhere.pushes)) == (reached, not reached)


class TestRow4AThresholdThatHeldHadSamples:
    def test_here(self, runner: Runner) -> None:
        result = runner.run("a")
        assert samples(result, "login") > 0
        assert samples(result, "create_order") > 0
        assert [row for row in result.thresholds if row.ok and row.samples == 0] == []

    def test_not_as_designed(self, runner: Runner, design: Design) -> None:
        """k6 passes both; judged by us they are NO_DATA."""
        rows = thresholds_of(design.run(SHOPPING))
        assert [(row.metric, row.ok, row.samples) for row in rows] == [
            ("http_req_duration{name:create_order}", True, 0),
            ("http_req_duration{name:login}", True, 0),
        ]
        check = thresholds_check(runner.run("c").model_copy(update={"thresholds": rows}))
        assert check.verdict is Verdict.NO_DATA
        assert "name:login" in check.observed


class TestRow5NoReaderOfTheBlogFails:
    def test_here(self, runner: Runner, portal: Portal) -> None:
        result = runner.run("b")
        assert portal.asked_posts
        assert portal.asked_posts <= set(POSTS)
        assert result.error_rate == 0

    def test_not_as_designed(self, design: Design, portal: Portal) -> None:
        metrics = design.run(BLOG)
        assert portal.answers["post_detail", 404] > 0
        failed = next(row for row in thresholds_of(metrics) if row.metric == "http_req_failed")
        assert not failed.ok


@pytest.fixture
def stock(monkeypatch: pytest.MonkeyPatch) -> int:
    """The design's stock, in place of the small server's own."""
    monkeypatch.setattr("tests.integration.test_k6_runner.COUPONS", 100)
    return 100


class TestRow6FiveHundredUsersBuyOutTheStock:
    def test_here(self, runner: Runner, portal: Portal, stock: int) -> None:
        load = SHORT.model_copy(update={"c": SHORT.c.model_copy(update={"users": 500})})
        tokens = tuple(f"token-of-user-{number}" for number in range(500))
        result = runner.run("c", load=load, tokens=tokens)
        assert result.counters["coupons_issued"] == len(portal.holders) == stock
        assert result.counters["coupons_sold_out"] == 500 - stock
        assert result.outcomes == {"200": stock, "409": 500 - stock}
        assert thresholds_check(result).evidence["error_rate"] == 0

    def test_not_as_designed(self, design: Design, portal: Portal, stock: int) -> None:
        """One token: one coupon, 499 refusals of the same user, and they are failures."""
        metrics = design.run(COUPON)
        assert len(portal.holders) == 1 < stock
        assert (portal.answers["coupon_issue", 200], portal.answers["coupon_issue", 409]) == (1, 499)
        assert metrics["http_req_failed"]["thresholds"]["rate<0.5"]["ok"] is False


class TestRow17EveryStepOfTheFlowReachesThePlatform:
    steps = ("product_list", "product_detail", "add_to_cart")

    def test_here(self, runner: Runner, portal: Portal) -> None:
        runner.run("a")
        assert [step for step in self.steps if portal.answers[step, 200] == 0] == []

    def test_not_as_designed(self, design: Design, portal: Portal) -> None:
        """Page 0 is a 400, `data.content` is not there: detail and cart are skipped in silence."""
        design.run(SHOPPING)
        assert [step for step in self.steps if portal.answers[step, 200] == 0] == list(self.steps)
        assert portal.answers["product_list", 400] > 0
        assert portal.total("product_detail", "add_to_cart") == 0


class TestRow19PrometheusKnowsTheTotalOfAScenarioOfASecond:
    def test_here(self, runner: Runner, prometheus: str) -> None:
        result = runner.run("c", run_id="row-19", remote_write_url=f"{prometheus}/api/v1/write")
        last = 'sum(last_over_time(k6_http_reqs_total{run_id="row-19",part="load"}[5m]))'
        assert float(series(prometheus, last)[0]["value"][1]) == result.requests == 30

    def test_not_as_designed(self, design: Design, prometheus: str) -> None:
        """A push every 5 s leaves one sample of it: a rate of one sample is nothing."""
        design.writes_to(prometheus, test="row-19")
        assert series(prometheus, 'last_over_time(k6_http_reqs_total{test="row-19"}[5m])') != []
        assert series(prometheus, 'sum(rate(k6_http_reqs_total{test="row-19"}[1m]))') == []


class TestRow20ALatencyIsNotThatOfRefusals:
    @pytest.fixture(autouse=True)
    def _limited(self, portal: Portal) -> None:
        portal.limited = lambda route: route == "post_detail"

    def test_here(self, runner: Runner, portal: Portal) -> None:
        result: ScenarioResult = runner.run("b")
        assert samples(result, "post_detail") == 0
        assert result.outcomes["429"] == portal.answers["post_detail", 429] > 0
        assert thresholds_check(result).evidence["too_many_requests"] == result.outcomes["429"]

    def test_not_as_designed(self, design: Design, portal: Portal) -> None:
        metrics = design.run(BLOG)
        detail = next(row for row in thresholds_of(metrics) if "post_detail" in row.metric)
        assert detail.samples > 0
        assert portal.answers["post_detail", 429] == portal.total("post_detail") == 60


class TestRow21EverySeriesSaysWhoseItIs:
    def test_here(self, runner: Runner, prometheus: str) -> None:
        before = identities(prometheus)
        runner.run("c", run_id="row-21", remote_write_url=f"{prometheus}/api/v1/write")
        assert identities(prometheus) - before == {("row-21", "c-coupon-spike", "1")}

    def test_not_as_designed(self, design: Design, prometheus: str) -> None:
        """Two nights of the design's run.sh are the same series."""
        nights = []
        for _ in range(2):
            design.writes_to(prometheus, test="row-21")
            found = series(prometheus, 'last_over_time({__name__=~"k6_.*",test="row-21"}[5m])')
            nights.append({frozenset(row["metric"].items()) for row in found})
        assert nights[0] == nights[1] != set()


def identities(prometheus: str) -> set[tuple[str | None, ...]]:
    """(run_id, scenario, generator) of all k6 series, each once."""
    labels = [row["metric"] for row in series(prometheus, 'last_over_time({__name__=~"k6_.*"}[5m])')]
    return {(each.get("run_id"), each.get("scenario"), each.get("generator")) for each in labels}
