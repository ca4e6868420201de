"""What k6 leaves in a real Prometheus: identity on every series, native histograms, an end when the run ends."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from core.settings import Settings, process_environment
from k6.model import ScenarioResult
from tests.integration.test_k6_runner import Runner, k6, portal, runner

__all__ = ["k6", "portal", "runner"]


@pytest.fixture
def prometheus(tmp_path: Path) -> Iterator[str]:
    """Base URL of a Prometheus of this test's own."""
    built = list(Settings().cache_dir.glob("programs/debian-*/usr/bin/prometheus"))
    binary = built[0] if built else shutil.which("prometheus")
    assert binary is not None, "no Prometheus: run `make setup`"
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    folder = tmp_path / "prometheus"
    folder.mkdir()
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


def series(prometheus: str, query: str) -> list[dict[str, Any]]:
    answer = httpx.get(f"{prometheus}/api/v1/query", params={"query": query}, trust_env=False).json()
    assert answer["status"] == "success", answer
    found: list[dict[str, Any]] = answer["data"]["result"]
    return found


@pytest.fixture
def result(runner: Runner, prometheus: str) -> ScenarioResult:
    return runner.run("b", remote_write_url=f"{prometheus}/api/v1/write")


class TestSeries:
    def test_hold_the_runs_identity_and_the_summarys_totals(self, result: ScenarioResult, prometheus: str) -> None:
        assert result.complaints == ()
        # every k6 series, also those that k6 itself gives no scenario, such as k6_vus
        labels = [row["metric"] for row in series(prometheus, 'last_over_time({__name__=~"k6_.*"}[5m])')]
        assert len(labels) > 10
        identity = {(row.get("run_id"), row.get("scenario"), row.get("generator")) for row in labels}
        assert identity == {("run-1", "b-blog-read", "1")}
        # totals come from the last cumulative sample, setup() has no part (corrections 19)
        total = series(prometheus, 'sum(last_over_time(k6_http_reqs_total{part="load"}[5m]))')
        assert float(total[0]["value"][1]) == result.requests
        # native histograms (corrections 2): the design's _bucket series does not exist. Raw samples are read here:
        # last_over_time() of a histogram is 0 in Prometheus 2.42
        latency = series(prometheus, 'k6_http_req_duration_seconds{part="load"}[5m]')
        assert sum(int(row["histograms"][-1][1]["count"]) for row in latency) == result.requests
        assert series(prometheus, "last_over_time(k6_http_req_duration_seconds_bucket[5m])") == []
        # stale markers: the run's VUs are gone with the run
        assert series(prometheus, "k6_vus") == []

    def test_that_could_not_be_written_are_a_complaint(self, runner: Runner) -> None:
        with socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))
            url = f"http://127.0.0.1:{unused.getsockname()[1]}/api/v1/write"
            result = runner.run("b", remote_write_url=url)
        assert result.ended_by_itself
        assert any("connection refused" in complaint for complaint in result.complaints)
