"""The bot's /metrics: the design's names, one endpoint for all of its processes.

prometheus_client's multiprocess mode: each sending process keeps its series in files of the folder that
PROMETHEUS_MULTIPROC_DIR names; who started them serves the sums, with the gauges that only it knows.
"""

from __future__ import annotations

import errno
import threading
from bisect import bisect_left
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import ThreadingHTTPServer
from pathlib import Path

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.exposition import MetricsHandler
from prometheus_client.metrics_core import Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from bots.ledger import Ledger
from bots.measures import upper_bound_s
from bots.plan import Accounting, Buckets
from core.errors import SetupError

MULTIPROC_DIR = "PROMETHEUS_MULTIPROC_DIR"
_BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
FINDINGS = ("lost", "duplicates", "never_sent", "unacknowledged_in_log", "order_breaks")
"""Figures of `Accounting` that should be 0."""


class ProducerMetrics:
    """One sending process's series; `kafka_bot_messages_sent_total` counts what was acknowledged (corrections.md 9)."""

    def __init__(self, topic: str) -> None:
        self.registry = CollectorRegistry()

        def counter(name: str, text: str) -> _Total:
            return _Total(Counter(name, text, ["topic"], registry=self.registry).labels(topic))

        def histogram(name: str, text: str) -> _Latencies:
            return _Latencies(
                Histogram(name, text, ["topic"], registry=self.registry, buckets=_BUCKETS_S).labels(topic)
            )

        self._offered = counter("kafka_bot_messages_offered", "Messages handed to the Kafka client")
        self._sent = counter("kafka_bot_messages_sent", "Messages acknowledged by the broker")
        self._errors = counter("kafka_bot_send_errors", "Messages refused or never acknowledged")
        self._from_send = histogram("kafka_bot_send_duration_seconds", "From the send to the acknowledgement")
        self._from_intended = histogram(
            "kafka_bot_intended_duration_seconds", "From the intended send to the acknowledgement"
        )

    def update(self, ledger: Ledger, from_intended: Buckets, from_send: Buckets) -> None:
        """Bring the series up to the books' totals: a few times a second, not at each of 100,000 messages."""
        self._offered.reach(ledger.sent)
        self._sent.reach(ledger.acked)
        self._errors.reach(ledger.failed)
        self._from_intended.reach(from_intended)
        self._from_send.reach(from_send)


class _Total:
    """A counter that is told totals."""

    def __init__(self, counter: Counter) -> None:
        self._counter, self._reached = counter, 0

    def reach(self, total: int) -> None:
        self._counter.inc(total - self._reached)
        self._reached = total


class _Latencies:
    """A histogram that is told running totals of finer buckets; each goes to the bucket that holds its upper bound.

    prometheus_client observes one value a call, so this adds to the histogram's own buckets.
    """

    def __init__(self, histogram: Histogram) -> None:
        self._sum, self._buckets, self._bounds = histogram._sum, histogram._buckets, histogram._upper_bounds
        self._reached = Buckets(counts={}, max_s=0, sum_s=0)

    def reach(self, total: Buckets) -> None:
        for bucket, count in total.counts.items():
            if more := count - self._reached.counts.get(bucket, 0):
                self._buckets[bisect_left(self._bounds, upper_bound_s(bucket))].inc(more)
        self._sum.inc(total.sum_s - self._reached.sum_s)
        self._reached = total


class _Scrapes(Collector):
    """Counts how often the registry was collected; holds no series."""

    def __init__(self) -> None:
        self.begun = 0

    def collect(self) -> Iterator[Metric]:
        self.begun += 1
        return iter(())


class BotMetrics:
    """The sums over the sending processes whose files are in `folder`, and what only the whole bot has."""

    def __init__(self, folder: Path) -> None:
        self.registry = CollectorRegistry()
        # Registered first, so that it counts when a scrape begins: values set before that are in the scrape.
        self._scrapes = _Scrapes()
        self.registry.register(self._scrapes)
        MultiProcessCollector(self.registry, path=str(folder))  # type: ignore[no-untyped-call]

        def gauge(name: str, text: str, *labels: str) -> Gauge:
            return Gauge(name, text, labels, registry=self.registry)

        self.target_rate = gauge("kafka_bot_target_rate", "Messages a second asked for now")
        self.actual_rate = gauge("kafka_bot_actual_rate", "Messages a second acknowledged, over the last 5 s")
        self.lateness = gauge("kafka_bot_lateness_seconds", "How late the last message was sent")
        self._findings = gauge("kafka_bot_log_findings", "Messages by what reading the log back found", "finding")
        self._begun_by_registry = self._scrapes.begun

    @property
    def scrapes(self) -> int:
        """How many scrapes have begun."""
        return self._scrapes.begun - self._begun_by_registry

    def rest(self) -> None:
        """Nothing is being sent any more."""
        for gauge in (self.target_rate, self.actual_rate, self.lateness):
            gauge.set(0)

    def found(self, accounting: Accounting) -> None:
        """The log was read back."""
        for finding in FINDINGS:
            self._findings.labels(finding).set(getattr(accounting, finding))


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
