"""What k6 leaves in a real Prometheus: identity on every series, the summary's own totals, an end when the run ends."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from core.checks import SCENARIOS
from core.settings import Settings, process_environment
from k6.model import K6Program, ScenarioResult
from tests.integration.test_k6_runner import SHORT, Runner, k6, portal, runner, serving

__all__ = ["k6", "portal", "runner"]

LOAD = 'part="load"'
LOAD_OF_200_USERS = SHORT.model_copy(update={"c": SHORT.c.model_copy(update={"users": 200})})


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Base URL of a Prometheus of these tests' own."""
    built = list(Settings().cache_dir.glob("programs/debian-*/usr/bin/prometheus"))
    binary = built[0] if built else shutil.which("prometheus")
    assert binary is not None, "no Prometheus: run `make setup`"
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    folder = tmp_path_factory.mktemp("prometheus")
    (folder / "prometheus.yml").write_text("{}")
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [
                binary,
                f"--config.file={folder}/prometheus.yml",
                f"--storage.tsdb.path={folder}/data",
                f"--web.listen-address={address}",
                "--web.enable-remote-write-receiver",
                "--enable-feature=native-histograms",
            ],
            stdout=log,
            stderr=log,
            env=process_environment(),
        )
    try:
        _wait_until_ready(f"http://{address}", folder / "log")
        yield f"http://{address}"
    finally:
        process.terminate()
        process.wait(10)


def _wait_until_ready(url: str, log: Path) -> None:
    last = "no answer"
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            last = httpx.get(f"{url}/-/ready", trust_env=False).text
            if "Ready" in last:
                return
        except httpx.HTTPError as error:
            last = str(error)
        time.sleep(0.1)
    pytest.fail(f"Prometheus is not ready: {last}\n{log.read_text()[-2000:]}")


def series(prometheus: str, query: str, at: float | None = None) -> list[dict[str, Any]]:
    params = {"query": query} if at is None else {"query": query, "time": str(at)}
    answer = httpx.get(f"{prometheus}/api/v1/query", params=params, trust_env=False).json()
    assert answer["status"] == "success", answer
    found: list[dict[str, Any]] = answer["data"]["result"]
    return found


@dataclass(frozen=True)
class Measured:
    """One scenario's result beside what its run left in Prometheus."""

    result: ScenarioResult
    wall_s: float
    prometheus: str

    @property
    def name(self) -> str:
        return SCENARIOS[self.result.scenario]

    def labels(self, *more: str) -> str:
        return ",".join(('run_id="run-1"', f'scenario="{self.name}"', *more))

    def total(self, *more: str) -> float:
        """Requests by the last cumulative sample, never by a rate (corrections 19)."""
        found = series(self.prometheus, f"sum(last_over_time(k6_http_reqs_total{{{self.labels(*more)}}}[5m]))")
        return float(found[0]["value"][1]) if found else 0.0

    def histograms(self) -> list[dict[str, Any]]:
        """Raw samples of the load's latency: last_over_time() of a histogram is 0 in Prometheus 2.42."""
        return series(self.prometheus, f"k6_http_req_duration_seconds{{{self.labels(LOAD)}}}[5m]")


@pytest.fixture(scope="module", params=list(SCENARIOS))
def measured(
    request: pytest.FixtureRequest, prometheus: str, k6: K6Program, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Measured]:
    """Each scenario once, on a server that answers after 50 ms and refuses every tenth request of the load."""
    scenario = request.param
    with serving() as portal:
        portal.delay_s = 0.05
        portal.limited = lambda route: route != "login" and portal.total() % 10 == 9
        runner = Runner(k6, tmp_path_factory.mktemp(scenario), portal.url)
        began = time.monotonic()
        result = runner.run(scenario, load=LOAD_OF_200_USERS, remote_write_url=f"{prometheus}/api/v1/write")
        yield Measured(result, time.monotonic() - began, prometheus)


class TestSeries:
    def test_of_every_kind_hold_the_runs_identity(self, measured: Measured) -> None:
        # every k6 series, also those that k6 itself gives no scenario, such as k6_vus (corrections 21)
        found = series(measured.prometheus, 'last_over_time({__name__=~"k6_.*"}[5m])')
        of_run = [row["metric"] for row in found if row["metric"].get("scenario") == measured.name]
        assert len({row["__name__"] for row in of_run}) > 10
        assert {(row["run_id"], row["generator"]) for row in of_run} == {("run-1", "1")}
        assert all({"run_id", "scenario", "generator"} <= row["metric"].keys() for row in found)

    def test_hold_the_summarys_requests(self, measured: Measured) -> None:
        assert not [said for said in measured.result.complaints if "endpoint" in said]
        assert measured.total(LOAD) == measured.result.requests > 0
        assert sum(int(row["histograms"][-1][1]["count"]) for row in measured.histograms()) == measured.result.requests

    def test_hold_the_summarys_failures(self, measured: Measured) -> None:
        result = measured.result
        assert result.error_rate is not None
        refused = measured.total(LOAD, 'expected_response="false"')
        assert refused == pytest.approx(result.error_rate * result.requests)
        assert refused == result.outcomes["429"] > 0

    def test_hold_the_summarys_p95_within_a_buckets_width(self, measured: Measured) -> None:
        last = max(row["histograms"][-1][0] for row in measured.histograms())
        selected = measured.labels(LOAD, 'expected_response="true"')
        query = f"histogram_quantile(0.95, sum(k6_http_req_duration_seconds{{{selected}}}))"
        found = series(measured.prometheus, query, at=last)
        # k6's native histograms have 8 buckets for each doubling: one is 2 ** (1/8) = 1.09 wide
        assert float(found[0]["value"][1]) * 1000 == pytest.approx(measured.result.p95_ms, rel=0.1)

    def test_are_native_histograms(self, measured: Measured) -> None:
        # corrections 2: the design's series does not exist
        assert measured.histograms() != []
        assert series(measured.prometheus, "last_over_time(k6_http_req_duration_seconds_bucket[5m])") == []

    def test_end_with_the_run(self, measured: Measured) -> None:
        # stale markers: the run's VUs are gone with the run, not five minutes later
        assert series(measured.prometheus, "k6_vus") == []

    def test_are_pushed_every_second(self, measured: Measured) -> None:
        # corrections 19: with the design's 5 s each of these runs would leave its last sample only
        two_seconds = measured.result.ended - measured.result.started >= timedelta(seconds=2)
        assert max(len(row["histograms"]) for row in measured.histograms()) >= (2 if two_seconds else 1)


class TestTheWrapper:
    def test_costs_at_most_two_seconds_a_scenario(self, measured: Measured) -> None:
        """All that is not load: k6's own start and end, setup() with its logins, the last push, and the runner."""
        load_s = (measured.result.ended - measured.result.started).total_seconds()
        asked_for_s = {"c": 1.0, "e": 2.0}  # C begins after a second; E waits for the TTL of 1 s and the margin of 1 s
        assert measured.wall_s - load_s - asked_for_s.get(measured.result.scenario, 0.0) <= 2.0


class TestSeriesThatCouldNotBeWritten:
    def test_are_a_complaint_of_k6(self, runner: Runner) -> None:
        with socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))
            url = f"http://127.0.0.1:{unused.getsockname()[1]}/api/v1/write"
            result = runner.run("b", remote_write_url=url)
        assert result.ended_by_itself
        assert any("connection refused" in complaint for complaint in result.complaints)
