"""The bot's own /metrics: the design's names, in a registry of its own so that a process may run the bot twice."""

from __future__ import annotations

import errno
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import ThreadingHTTPServer

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.exposition import MetricsHandler
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from core.errors import SetupError

_BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


class _Scrapes(Collector):
    """Counts how often the registry was collected; holds no series."""

    def __init__(self) -> None:
        self.begun = 0

    def collect(self) -> Iterator[Metric]:
        self.begun += 1
        return iter(())


class BotMetrics:
    """Series of one topic; `kafka_bot_messages_sent_total` counts what the broker acknowledged (corrections.md 9)."""

    def __init__(self, topic: str) -> None:
        self.registry = CollectorRegistry()
        # Registered first, so that it counts when a scrape begins: values set before that are in the scrape.
        self._scrapes = _Scrapes()
        self.registry.register(self._scrapes)
        self._begun_by_registry = self._scrapes.begun

        def counter(name: str, text: str) -> Counter:
            return Counter(name, text, ["topic"], registry=self.registry).labels(topic)

        def histogram(name: str, text: str) -> Histogram:
            return Histogram(name, text, ["topic"], registry=self.registry, buckets=_BUCKETS_S).labels(topic)

        self.offered = counter("kafka_bot_messages_offered", "Messages handed to the Kafka client")
        self.sent = counter("kafka_bot_messages_sent", "Messages acknowledged by the broker")
        self.errors = counter("kafka_bot_send_errors", "Messages refused or never acknowledged")
        self.from_send = histogram("kafka_bot_send_duration_seconds", "From the send to the acknowledgement")
        self.from_intended = histogram(
            "kafka_bot_intended_duration_seconds", "From the intended send to the acknowledgement"
        )
        self.target_rate = Gauge("kafka_bot_target_rate", "Messages a second asked for now", registry=self.registry)
        self.actual_rate = Gauge(
            "kafka_bot_actual_rate", "Messages a second acknowledged, over the last 5 s", registry=self.registry
        )
        self.lateness = Gauge(
            "kafka_bot_lateness_seconds", "How late the last message was sent", registry=self.registry
        )

    @property
    def scrapes(self) -> int:
        """How many scrapes have begun."""
        return self._scrapes.begun - self._begun_by_registry

    def rest(self) -> None:
        """Nothing is being sent any more."""
        for gauge in (self.target_rate, self.actual_rate, self.lateness):
            gauge.set(0)


class MetricsServer(ThreadingHTTPServer):
    """Serves one registry; closing it lets the answers under way reach their readers."""

    daemon_threads = False
    block_on_close = True


@contextmanager
def serving(metrics: BotMetrics, address: str, port: int) -> Iterator[int]:
    """Serve `metrics` while the block runs; yields the port. SetupError when the port is not free."""
    handler = MetricsHandler.factory(metrics.registry)
    handler.timeout = 5  # type: ignore[attr-defined]  # a reader who says nothing must not hold the end up
    try:
        server = MetricsServer((address, port), handler)
    except OSError as error:
        raise _port_error(error, address, port) from error
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1}, name="bot-metrics")
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def linger(metrics: BotMetrics, bound_s: float, proceed: Callable[[], bool], sleep: Callable[[float], object]) -> bool:
    """Wait, at most `bound_s`, until a scrape that began after this call; no wait where nobody has ever scraped.

    True when the final values were collected.
    """
    before, waited_s, pause_s = metrics.scrapes, 0.0, 0.1
    if before == 0:
        return False
    while metrics.scrapes == before and waited_s < bound_s and proceed():
        sleep(pause_s)
        waited_s += pause_s
    return metrics.scrapes > before


def _port_error(error: OSError, address: str, port: int) -> SetupError:
    if error.errno == errno.EADDRINUSE:
        return SetupError(
            f"port {port} is taken, so the bot's metrics cannot be served",
            where=f"{address}:{port}",
            cure="End the program that holds it (`ss -ltnp` names it), or choose another with --metrics-port.",
        )
    return SetupError(
        f"the bot's metrics cannot be served: {error.strerror}",
        where=f"{address}:{port}",
        cure="Choose another --metrics-address or --metrics-port.",
    )
