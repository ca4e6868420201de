"""Meters under the names that Micrometer gives them, so that a dashboard cannot tell this portal from Spring.

Every series carries `application` and `environment`, as `management.metrics.tags` does on the platform (platform.md 6).
"""

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from prometheus_client import (
    CollectorRegistry,
    Histogram,
    ProcessCollector,
    Summary,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.25, 0.5, 1, 2.5, 5, 10)
"""The platform's objectives (0.05 0.1 0.2 0.5 1 5) and the usual steps around them."""

_REQUEST_LABELS = ("method", "uri", "status", "outcome", "exception")
_OUTCOMES = {1: "INFORMATIONAL", 2: "SUCCESS", 3: "REDIRECTION", 4: "CLIENT_ERROR", 5: "SERVER_ERROR"}
_CPU_WINDOW_S = 1.0
_PROC_STAT = Path("/proc/stat")

disable_created_metrics()  # type: ignore[no-untyped-call]


def outcome(status: int) -> str:
    """Micrometer's word for a class of HTTP statuses."""
    return _OUTCOMES[status // 100]


class Meters:
    """The meters of one process; parts add their own to `registry`.

    Without `histogram` requests have a count and a sum, as on the platform until
    management.metrics.distribution.percentiles-histogram.http.server.requests is set.
    """

    def __init__(self, application: str, environment: str, histogram: bool = True) -> None:
        self.application = application
        self.registry = CollectorRegistry()
        self._tagged = CollectorRegistry()
        self._tagged.register(_Tagged(self.registry, {"application": application, "environment": environment}))
        ProcessCollector(registry=self.registry)
        self.registry.register(_ProcessUsage())
        named = ("http_server_requests_seconds", "Duration of HTTP requests", _REQUEST_LABELS)
        self._requests: Histogram | Summary = (
            Histogram(*named, buckets=BUCKETS_S, registry=self.registry)
            if histogram
            else Summary(*named, registry=self.registry)
        )

    def observe_request(self, method: str, uri: str, status: int, exception: str, duration_s: float) -> None:
        """Count one answered request; `uri` is the route's template, never the path itself."""
        self._requests.labels(method, uri, str(status), outcome(status), exception).observe(duration_s)

    def timer(self, name: str, labels: Sequence[str]) -> Summary:
        """A Micrometer timer without percentiles: `<name>_count` and `<name>_sum`."""
        return Summary(name, f"Timer {name}", labels, registry=self.registry)

    def render(self) -> bytes:
        """All series in Prometheus's text format."""
        return generate_latest(self._tagged)


@contextmanager
def timed(timer: Summary, name: str) -> Iterator[None]:
    """Observe the body's time under (name, result, exception), as Micrometer's Kafka timers have it."""
    started, result, exception = time.perf_counter(), "success", "none"
    try:
        yield
    except BaseException as error:
        result, exception = "failure", type(error).__name__
        raise
    finally:
        timer.labels(name, result, exception).observe(time.perf_counter() - started)


class _Tagged(Collector):
    """The metrics of another registry, each sample with common labels."""

    def __init__(self, registry: CollectorRegistry, tags: dict[str, str]) -> None:
        self._registry = registry
        self._tags = tags

    def describe(self) -> list[Metric]:
        return []

    def collect(self) -> Iterator[Metric]:
        for metric in self._registry.collect():
            metric.samples = [s._replace(labels={**self._tags, **s.labels}) for s in metric.samples]
            yield metric


class _ProcessUsage(Collector):
    """`process_cpu_usage` and `system_cpu_usage` (0..1 of the machine, over at least the last second) and the like."""

    def __init__(self) -> None:
        self._started = time.monotonic()
        self._looked, self._cpu_s = self._started, time.process_time()
        self._usage = self._usage_of_all = 0.0
        self._machine = _MachineTime.now()

    def describe(self) -> list[Metric]:
        return []

    def collect(self) -> Iterator[Metric]:
        now, cpu_s = time.monotonic(), time.process_time()
        if now - self._looked >= _CPU_WINDOW_S:
            self._usage = (cpu_s - self._cpu_s) / (now - self._looked) / (os.cpu_count() or 1)
            self._looked, self._cpu_s = now, cpu_s
            before, self._machine = self._machine, _MachineTime.now()
            self._usage_of_all = self._machine.busy_since(before)
        yield GaugeMetricFamily("process_cpu_usage", "Recent CPU use of the process", value=min(self._usage, 1.0))
        yield GaugeMetricFamily("system_cpu_usage", "Recent CPU use of the machine", value=self._usage_of_all)
        yield GaugeMetricFamily("system_cpu_count", "Processors of the machine", value=os.cpu_count() or 1)
        yield GaugeMetricFamily("process_uptime_seconds", "Age of the process", value=now - self._started)


@dataclass(frozen=True, slots=True)
class _MachineTime:
    """Ticks of all processors since the machine started, as Linux counts them (`cpu` in /proc/stat)."""

    busy: int
    whole: int

    @classmethod
    def now(cls) -> "_MachineTime":
        ticks = [int(field) for field in _PROC_STAT.read_text().split("\n", 1)[0].split()[1:9]]
        idle, waiting = ticks[3:5]
        return cls(sum(ticks) - idle - waiting, sum(ticks))

    def busy_since(self, before: "_MachineTime") -> float:
        """Share of the time since then in which a processor was busy, 0..1."""
        return (self.busy - before.busy) / max(1, self.whole - before.whole)
