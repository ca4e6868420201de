"""The bot's /metrics: names of the design, a registry a run, and an end that Prometheus does not miss."""

from __future__ import annotations

import socket
import threading
import urllib.request

import pytest

from bots.metrics import BotMetrics, linger, serving
from core.errors import SetupError

TOPIC = "t"


def scrape(port: int) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
        return str(answer.read().decode())


class TestNames:
    @pytest.mark.parametrize(
        "series",
        [
            'kafka_bot_messages_sent_total{topic="t"} 0.0',
            'kafka_bot_send_duration_seconds_count{topic="t"} 0.0',
            'kafka_bot_send_errors_total{topic="t"} 0.0',
            "kafka_bot_target_rate 0.0",
            "kafka_bot_actual_rate 0.0",
            'kafka_bot_messages_offered_total{topic="t"} 0.0',
            'kafka_bot_intended_duration_seconds_count{topic="t"} 0.0',
            "kafka_bot_lateness_seconds 0.0",
        ],
    )
    def test_stand_there_from_the_first_scrape_on(self, series: str) -> None:
        with serving(BotMetrics(TOPIC), "127.0.0.1", 0) as port:
            assert series in scrape(port).splitlines()


class TestServing:
    def test_runs_twice_in_one_process_and_frees_its_port(self) -> None:
        with serving(BotMetrics(TOPIC), "127.0.0.1", 0) as port:
            pass
        with serving(BotMetrics(TOPIC), "127.0.0.1", port) as again:
            assert again == port
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port), timeout=1)

    def test_says_how_to_go_on_when_the_port_is_taken(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as other:
            port = other.getsockname()[1]
            with (
                pytest.raises(SetupError, match=rf"port {port} is taken.*--metrics-port"),
                serving(BotMetrics(TOPIC), "127.0.0.1", port),
            ):
                pytest.fail("served on a taken port")


class TestLinger:
    def test_waits_for_the_scrape_that_sees_the_end(self) -> None:
        metrics = BotMetrics(TOPIC)
        with serving(metrics, "127.0.0.1", 0) as port:
            scrape(port)
            metrics.sent.inc(7)
            seen: list[str] = []
            reader = threading.Timer(0.3, lambda: seen.append(scrape(port)))
            reader.start()
            assert linger(metrics, 10, lambda: True, threading.Event().wait)
            reader.join()
        assert 'kafka_bot_messages_sent_total{topic="t"} 7.0' in seen[0]

    def test_gives_up_after_its_bound(self) -> None:
        metrics, slept = BotMetrics(TOPIC), [0.0]
        with serving(metrics, "127.0.0.1", 0) as port:
            scrape(port)
        assert not linger(metrics, 10, lambda: True, slept.append)
        assert sum(slept) == pytest.approx(10, abs=0.2)

    def test_does_not_wait_where_nobody_has_ever_scraped(self) -> None:
        assert not linger(BotMetrics(TOPIC), 10, lambda: True, lambda seconds: pytest.fail("slept"))

    def test_ends_when_it_is_told_to(self) -> None:
        metrics = BotMetrics(TOPIC)
        with serving(metrics, "127.0.0.1", 0) as port:
            scrape(port)
        assert not linger(metrics, 10, lambda: False, lambda seconds: pytest.fail("slept"))
