"""Made-up series of a whole platform, and Prometheus' remote write to put them where a test wants them in time.

promtool backfills plain samples only; k6's durations are native histograms, so that everything goes in as k6 sends it:
protocol buffers (prometheus/prompb `WriteRequest`), framed as a snappy block of one literal.
"""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import httpx

from targets.model import Metrics

_NAME = re.compile(r"^([a-zA-Z_:][\w:]*)(?:\{(.*)\})?$")
_LABEL = re.compile(r'(\w+)="([^"]*)"')
SCHEMA = 3
"""Native histograms of eight buckets a doubling, as k6 writes them."""


@dataclass(frozen=True)
class Line:
    """A series, written as PromQL writes it: its first value, and by how much it grows a second.

    `took_s` makes it a native histogram of `start + per_s * t` observations, all of that duration in seconds. `spike`
    is (seconds from the start, value) of one sample that is another.
    """

    name: str
    per_s: float = 0.0
    start: float = 0.0
    took_s: float | None = None
    spike: tuple[float, float] | None = None

    @property
    def metric(self) -> str:
        return self._parts()[0]

    @property
    def labels(self) -> dict[str, str]:
        return dict(_LABEL.findall(self._parts()[1]))

    def value(self, offset_s: float) -> float:
        if self.spike and offset_s == self.spike[0]:
            return self.spike[1]
        return self.start + self.per_s * offset_s

    def _parts(self) -> tuple[str, str]:
        found = _NAME.match(self.name)
        if not found:
            raise ValueError(f"no series: {self.name}")
        return found[1], found[2] or ""


def write(url: str, lines: Sequence[Line], start: float, length_s: float, every_s: float) -> httpx.Response:
    """Send `lines` to the Prometheus at `url`, a sample each `every_s` from unix time `start`, both ends included."""
    offsets = [index * every_s for index in range(round(length_s / every_s) + 1)]
    body = _snappy(b"".join(_field(1, _series(line, start, offsets)) for line in lines))
    headers = {"Content-Encoding": "snappy", "Content-Type": "application/x-protobuf"}
    return httpx.post(f"{url}/api/v1/write", content=body, headers=headers, trust_env=False, timeout=30)


def _series(line: Line, start: float, offsets: Iterable[float]) -> bytes:
    labels = sorted({**line.labels, "__name__": line.metric}.items())
    named = b"".join(_field(1, _field(1, key.encode()) + _field(2, value.encode())) for key, value in labels)
    return named + b"".join(_sample(line, start, offset) for offset in offsets)


def _sample(line: Line, start: float, offset_s: float) -> bytes:
    at_ms = round((start + offset_s) * 1000)
    value = line.value(offset_s)
    if line.took_s is None:
        return _field(2, _double(1, value) + _number(2, at_ms))
    count = round(value)
    index = math.ceil(math.log2(line.took_s) * 2**SCHEMA)  # of the bucket that holds this duration
    span = _field(11, _number(1, _zigzag(index)) + _number(2, 1))
    counted = _number(1, count) + _double(3, count * line.took_s) + _number(4, _zigzag(SCHEMA)) + _double(5, 1e-9)
    return _field(4, counted + _number(6, 0) + span + _field(12, _varint(_zigzag(count))) + _number(15, at_ms))


def _snappy(content: bytes) -> bytes:
    """A snappy block whose one element is the whole content as a literal (four bytes of length)."""
    return _varint(len(content)) + bytes([63 << 2]) + struct.pack("<I", len(content) - 1) + content


def _field(number: int, content: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def _number(number: int, value: int) -> bytes:
    return _varint(number << 3) + _varint(value)


def _double(number: int, value: float) -> bytes:
    return _varint(number << 3 | 1) + struct.pack("<d", value)


def _zigzag(value: int) -> int:
    return value << 1 if value >= 0 else (-value << 1) - 1


def _varint(value: int) -> bytes:
    rest, written = value, bytearray()
    while rest > 0x7F:
        written.append(rest & 0x7F | 0x80)
        rest >>= 7
    return bytes([*written, rest])


# -- a platform --------------------------------------------------------------------------------------

REQUESTS_PER_S = 20.0
"""What k6 sends, and each service answers."""
POOL = {"active": 2, "pending": 0, "max": 10}
"""Connections of each pool by state."""


@dataclass(frozen=True)
class Platform:
    """What Prometheus holds of a platform under load without one error, in the words of a target profile.

    `containers`: cAdvisor names the services' containers; otherwise it knows them by id only, and the services tell of
    their own processes.
    """

    metrics: Metrics
    containers: bool = True

    def lines(self) -> list[Line]:
        services = self.metrics.services
        own = [line for service in services for line in self._service(service)]
        if self.containers:
            own += [line for service in services for line in self._container(service)]
        else:
            own += [line for service in services for line in self._process(service)]
            own += _network('id="/docker/0a1b2c3d4e5f6789"', bytes_per_s=500)
        return [*_k6(), *own, *_machine(), *_stores(), *_rules(services)]

    def _service(self, name: str) -> Iterator[Line]:
        label = f'{self.metrics.service_label}="{name}"'
        requests = self.metrics.http_requests
        answered = f'{label},uri="/x",status="200"'
        yield Line(f"{requests}_count{{{answered}}}", REQUESTS_PER_S)
        yield Line(f'{requests}_bucket{{{answered},le="0.05"}}')
        yield from (Line(f'{requests}_bucket{{{answered},le="{le}"}}', REQUESTS_PER_S) for le in ("0.1", "+Inf"))
        pool = f'{label},pool="HikariPool-1"'
        yield Line(f"hikaricp_connections_usage_seconds_sum{{{pool}}}", 2)
        yield Line(f"hikaricp_connections_acquire_seconds_sum{{{pool}}}", 0.5)
        yield Line(f"hikaricp_connections_acquire_seconds_count{{{pool}}}", 10)
        yield Line(f"hikaricp_connections_timeout_total{{{pool}}}")
        yield from (Line(f"hikaricp_connections_{each}{{{pool}}}", start=n) for each, n in POOL.items())

    def _container(self, name: str) -> Iterator[Line]:
        label = f'id="/docker/{name}",{self.metrics.container_label}="{name}"'
        yield Line(f'container_cpu_usage_seconds_total{{{label},cpu="total"}}', 0.5)
        yield Line(f"container_memory_usage_bytes{{{label}}}", start=300e6)
        yield Line(f"container_memory_working_set_bytes{{{label}}}", start=200e6)
        yield from _network(label, bytes_per_s=1000)

    def _process(self, name: str) -> Iterator[Line]:
        label = f'{self.metrics.service_label}="{name}"'
        yield Line(f"process_cpu_usage{{{label}}}", start=0.1)
        yield Line(f'jvm_memory_used_bytes{{{label},area="heap",id="Tenured"}}', start=100e6)
        yield Line(f'jvm_memory_max_bytes{{{label},area="heap",id="Tenured"}}', start=400e6)


def _k6() -> Iterator[Line]:
    identity = 'run_id="r1",scenario="b-blog-read",generator="1"'
    yield Line(f'k6_http_reqs_total{{{identity},name="post_list",expected_response="true"}}', REQUESTS_PER_S)
    yield Line(f"k6_vus{{{identity}}}", start=5)
    durations = f'k6_http_req_duration_seconds{{{identity},name="post_list",status="200"}}'
    yield Line(durations, REQUESTS_PER_S, took_s=0.03)


def _machine() -> Iterator[Line]:
    yield Line("machine_cpu_cores", start=2)
    yield Line("machine_memory_bytes", start=8e9)


def _network(label: str, bytes_per_s: float) -> Iterator[Line]:
    for direction in ("receive", "transmit"):
        yield Line(f'container_network_{direction}_bytes_total{{{label},interface="eth0"}}', bytes_per_s)
        yield Line(f'container_network_{direction}_errors_total{{{label},interface="eth0"}}')


def _stores() -> Iterator[Line]:
    yield Line("mysql_global_status_threads_connected", start=5)
    yield Line("mysql_global_status_threads_running", start=1)
    yield Line("mysql_global_variables_max_connections", start=151)
    yield Line("redis_keyspace_hits_total", 9)
    yield Line("redis_keyspace_misses_total", 1)
    yield Line("redis_memory_used_bytes", start=1e6)
    yield Line("redis_memory_max_bytes")
    yield Line("redis_evicted_keys_total")
    yield Line('redis_commands_total{cmd="get"}', 10)
    record = 'topic="shopping.order.created",partition="0"'
    yield Line(f"kafka_topic_partition_current_offset{{{record}}}", 3)
    yield Line(f'kafka_consumergroup_current_offset{{consumergroup="g",{record}}}', 3)
    yield Line(f'kafka_consumergroup_lag{{consumergroup="g",{record}}}', start=4)


def _rules(services: Iterable[str]) -> Iterator[Line]:
    """What the recording rule answers; the rules themselves are tested with promtool."""
    yield from (Line(f'job:http_latency_p95:rate5m{{job="{service}"}}', start=0.0975) for service in services)


def renamed(lines: Iterable[Line], metric: str, newer: str) -> list[Line]:
    """The same series where an exporter calls `metric` by another name."""
    return [
        replace(each, name=each.name.replace(metric, newer, 1)) if each.metric == metric else each for each in lines
    ]
