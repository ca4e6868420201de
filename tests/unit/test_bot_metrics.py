"""The bot's /metrics: names of the design, one endpoint for all processes, and an end that Prometheus does not miss."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, Histogram

from bots.bot import _asked_rate
from bots.measures import LatencyHistogram, upper_bound_s
from bots.metrics import FINDINGS, MULTIPROC_DIR, BotMetrics, _Latencies, linger, serving
from bots.plan import Accounting, BotPlan, Buckets
from core.errors import SetupError
from core.settings import ROOT, process_environment
from targets.model import load_profile
from targets.shape import parse_shape

PRODUCER = """
import sys
from bots.ledger import Ledger
from bots.measures import LatencyHistogram
from bots.metrics import ProducerMetrics

metrics, ledger, latencies = ProducerMetrics("t"), Ledger(1000), LatencyHistogram()
print("made", flush=True)
for line in sys.stdin:
    for _ in range(int(line)):
        ledger.send(ledger.sent, 0.0)
        if ledger.sent % 10:
            ledger.acknowledge(ledger.sent - 1, 0.0)
            latencies.record(0.02)
        else:
            ledger.fail(ledger.sent - 1, "refused")
    metrics.update(ledger, latencies.buckets(), latencies.buckets())
    print("updated", flush=True)
"""
"""A sending process: for each line of its stdin so many messages more, each tenth refused, each taking 20 ms."""


def scrape(port: int) -> list[str]:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
        return str(answer.read().decode()).splitlines()


class Producer:
    """A running sending process."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def send(self, messages: int) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{messages}\n")
        self._process.stdin.flush()
        self.hear("updated")

    def hear(self, word: str) -> None:
        assert self._process.stdout is not None
        assert self._process.stdout.readline().strip() == word


@contextmanager
def producers(folder: Path, count: int) -> Iterator[list[Producer]]:
    """Processes that keep their series in `folder`."""
    with ExitStack() as open_ones:
        found = [
            Producer(
                open_ones.enter_context(
                    subprocess.Popen(
                        [sys.executable, "-c", PRODUCER],
                        cwd=ROOT,
                        env=process_environment(**{MULTIPROC_DIR: str(folder)}),
                        stdin=subprocess.PIPE,
                        stdout=subprocess.PIPE,
                        text=True,
                    )
                )
            )
            for _ in range(count)
        ]
        for each in found:
            each.hear("made")
        yield found


class TestProcesses:
    def test_sum_up_at_one_endpoint_from_the_first_scrape_to_after_their_end(self, tmp_path: Path) -> None:
        with serving(BotMetrics(tmp_path), "127.0.0.1", 0) as port:
            with producers(tmp_path, 2) as (one, other):
                assert {
                    'kafka_bot_messages_sent_total{topic="t"} 0.0',
                    'kafka_bot_send_duration_seconds_count{topic="t"} 0.0',
                    'kafka_bot_send_errors_total{topic="t"} 0.0',
                    'kafka_bot_messages_offered_total{topic="t"} 0.0',
                    'kafka_bot_intended_duration_seconds_count{topic="t"} 0.0',
                } <= set(scrape(port))
                one.send(100)
                other.send(50)
                one.send(10)
                last = {
                    'kafka_bot_messages_offered_total{topic="t"} 160.0',
                    'kafka_bot_messages_sent_total{topic="t"} 144.0',
                    'kafka_bot_send_errors_total{topic="t"} 16.0',
                    'kafka_bot_send_duration_seconds_count{topic="t"} 144.0',
                    'kafka_bot_intended_duration_seconds_bucket{le="0.01",topic="t"} 0.0',
                    'kafka_bot_intended_duration_seconds_bucket{le="0.025",topic="t"} 144.0',
                    'kafka_bot_intended_duration_seconds_bucket{le="+Inf",topic="t"} 144.0',
                }
                assert last <= set(scrape(port))
            after = scrape(port)
        assert last <= set(after)
        (total_s,) = [line for line in after if line.startswith("kafka_bot_send_duration_seconds_sum")]
        assert float(total_s.split()[1]) == pytest.approx(144 * 0.02)


class TestLatencies:
    """A histogram of Prometheus that is told totals of finer buckets."""

    # At, just below and just above bounds, and beyond the last.
    MEASURED_S = (0.0, 0.0009, 0.001, 0.0011, 0.0249, 0.025, 0.0251, 0.3, 0.5, 7.0, 30.0, 31.0, 500.0)

    @pytest.fixture
    def told(self) -> CollectorRegistry:
        return CollectorRegistry()

    def counts(self, registry: CollectorRegistry) -> dict[str, float]:
        return {
            f"{sample.name} {sample.labels.get('le', '')}": sample.value
            for metric in registry.collect()
            for sample in metric.samples
            if not sample.name.endswith(("_created", "_sum"))
        }

    def test_are_those_that_observing_each_upper_bound_would_give(self, told: CollectorRegistry) -> None:
        latencies, measured = _Latencies(Histogram("h", "told", registry=told)), LatencyHistogram()
        for round_ in range(3):
            for latency_s in self.MEASURED_S:
                measured.record(latency_s + round_ / 1000)
            latencies.reach(measured.buckets())
        observed = CollectorRegistry()
        histogram = Histogram("h", "observed", registry=observed)
        for bucket, count in measured.buckets().counts.items():
            for _ in range(count):
                histogram.observe(upper_bound_s(bucket))
        assert self.counts(told) == self.counts(observed)
        assert told.get_sample_value("h_count") == 3 * len(self.MEASURED_S)
        assert told.get_sample_value("h_sum") == pytest.approx(measured.buckets().sum_s)

    def test_do_not_count_a_total_twice(self, told: CollectorRegistry) -> None:
        latencies = _Latencies(Histogram("h", "told", registry=told))
        for _ in range(2):
            latencies.reach(Buckets(counts={0: 5}, max_s=1.0, sum_s=4.5))
        assert (told.get_sample_value("h_count"), told.get_sample_value("h_sum")) == (5, 4.5)


class TestGauges:
    @pytest.mark.parametrize(
        "series", ["kafka_bot_target_rate 0.0", "kafka_bot_actual_rate 0.0", "kafka_bot_lateness_seconds 0.0"]
    )
    def test_stand_there_from_the_first_scrape_on(self, series: str, tmp_path: Path) -> None:
        with serving(BotMetrics(tmp_path), "127.0.0.1", 0) as port:
            assert series in scrape(port)

    @pytest.mark.parametrize(
        ("elapsed_s", "rate"),
        [(0, 100), (9.9, 100), (10, 100), (15, 550), (19.99, 999.1), (20, 5), (21.9, 5), (22, 0), (100, 0)],
    )
    def test_ask_for_the_schedule_s_own_rate_of_now(self, elapsed_s: float, rate: float) -> None:
        plan = BotPlan(
            run_id="r1",
            bootstrap_servers="127.0.0.1:1",
            events=load_profile("portal").events,
            steps=parse_shape("100 for 10s, 100 to 1000 for 10s, 5 for 2s"),
        )
        assert _asked_rate(plan, elapsed_s) == pytest.approx(rate)

    def test_rest_when_nothing_is_sent_any_more(self, tmp_path: Path) -> None:
        metrics = BotMetrics(tmp_path)
        for gauge in (metrics.target_rate, metrics.actual_rate, metrics.lateness):
            gauge.set(7)
        metrics.rest()
        values = [line.split()[1] for line in _lines(metrics) if line.startswith("kafka_bot_")]
        assert values == ["0.0", "0.0", "0.0"]

    def test_say_what_reading_the_log_back_found(self, tmp_path: Path) -> None:
        metrics = BotMetrics(tmp_path)
        assert not [line for line in _lines(metrics) if line.startswith("kafka_bot_log_findings{")]  # nothing read yet
        figures = dict(zip(FINDINGS, range(5), strict=True))
        metrics.found(Accounting(read=9, offset_growth=9, in_log=9, **figures))
        found = [line for line in _lines(metrics) if line.startswith("kafka_bot_log_findings{")]
        assert found == [
            'kafka_bot_log_findings{finding="lost"} 0.0',
            'kafka_bot_log_findings{finding="duplicates"} 1.0',
            'kafka_bot_log_findings{finding="never_sent"} 2.0',
            'kafka_bot_log_findings{finding="unacknowledged_in_log"} 3.0',
            'kafka_bot_log_findings{finding="order_breaks"} 4.0',
        ]


def _lines(metrics: BotMetrics) -> list[str]:
    with serving(metrics, "127.0.0.1", 0) as port:
        return scrape(port)


class TestServing:
    def test_runs_twice_in_one_process_and_frees_its_port(self, tmp_path: Path) -> None:
        with serving(BotMetrics(tmp_path), "127.0.0.1", 0) as port:
            pass
        with serving(BotMetrics(tmp_path), "127.0.0.1", port) as again:
            assert again == port
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port), timeout=1)

    def test_says_how_to_go_on_when_the_port_is_taken(self, tmp_path: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as other:
            port = other.getsockname()[1]
            with (
                pytest.raises(SetupError, match=rf"port {port} is taken.*--metrics-port"),
                serving(BotMetrics(tmp_path), "127.0.0.1", port),
            ):
                pytest.fail("served on a taken port")


class TestLinger:
    def test_waits_for_the_scrape_that_sees_the_end(self, tmp_path: Path) -> None:
        metrics = BotMetrics(tmp_path)
        with serving(metrics, "127.0.0.1", 0) as port:
            scrape(port)
            metrics.actual_rate.set(7)
            seen: list[list[str]] = []
            reader = threading.Timer(0.3, lambda: seen.append(scrape(port)))
            reader.start()
            assert linger(metrics, 10, lambda: True, threading.Event().wait)
            reader.join()
        assert "kafka_bot_actual_rate 7.0" in seen[0]

    def test_gives_up_after_its_bound(self, tmp_path: Path) -> None:
        metrics, slept = BotMetrics(tmp_path), [0.0]
        with serving(metrics, "127.0.0.1", 0) as port:
            scrape(port)
        assert not linger(metrics, 10, lambda: True, slept.append)
        assert sum(slept) == pytest.approx(10, abs=0.2)

    def test_does_not_wait_where_nobody_has_ever_scraped(self, tmp_path: Path) -> None:
        assert not linger(BotMetrics(tmp_path), 10, lambda: True, lambda seconds: pytest.fail("slept"))

    def test_ends_when_it_is_told_to(self, tmp_path: Path) -> None:
        metrics = BotMetrics(tmp_path)
        with serving(metrics, "127.0.0.1", 0) as port:
            scrape(port)
        assert not linger(metrics, 10, lambda: False, lambda seconds: pytest.fail("slept"))
