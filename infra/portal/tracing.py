"""Spans to Zipkin with B3 propagation (multi headers and single `b3`), in the background and bounded.

A client that says Sampled=1 or 0 is obeyed; otherwise a share of requests is traced. An untraced request costs one
look at its headers. Spans that find the queue full, or Zipkin away, are dropped and counted, never waited for.
"""

import asyncio
import random
import secrets
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass, field

import aiohttp
import orjson
from prometheus_client import Counter

from infra.portal.faults import TRACE_LOSS, Faults
from infra.portal.metrics import Meters

QUEUE_SPANS = 10_000
BATCH_SPANS = 500
FLUSH_INTERVAL_S = 0.5
POST_TIMEOUT_S = 3.0


@dataclass(slots=True)
class Span:
    """One timed piece of a sampled trace."""

    tracer: "Tracer"
    trace_id: str
    parent_id: str | None
    kind: str
    name: str
    remote: str | None = None
    tags: dict[str, str] = field(default_factory=dict)
    span_id: str = field(default_factory=lambda: secrets.token_hex(8))
    started_ns: int = field(default_factory=time.time_ns)

    def headers(self) -> dict[str, str]:
        """What tells the next process to go on with this trace."""
        return {"X-B3-TraceId": self.trace_id, "X-B3-SpanId": self.span_id, "X-B3-Sampled": "1"}

    def to_zipkin(self, service: str) -> dict[str, object]:
        """The span as Zipkin's v2 JSON, ended now."""
        shown: dict[str, object] = {
            "traceId": self.trace_id,
            "id": self.span_id,
            "kind": self.kind,
            "name": self.name,
            "timestamp": self.started_ns // 1000,
            "duration": max(1, (time.time_ns() - self.started_ns) // 1000),
            "localEndpoint": {"serviceName": service},
            "tags": self.tags,
        }
        if self.parent_id:
            shown["parentId"] = self.parent_id
        if self.remote:
            shown["remoteEndpoint"] = {"serviceName": self.remote}
        return shown


NO_SPAN: AbstractContextManager[Span | None] = nullcontext()
NOT_SAMPLED = {"X-B3-Sampled": "0"}
_current: ContextVar[Span | None] = ContextVar("current_span", default=None)


def client_span(remote: str, name: str) -> AbstractContextManager[Span | None]:
    """A CLIENT span around a call to `remote`, when the request being served is traced."""
    parent = _current.get()
    if parent is None:
        return NO_SPAN
    return parent.tracer.record(Span(parent.tracer, parent.trace_id, parent.span_id, "CLIENT", name, remote))


@dataclass(frozen=True, slots=True)
class Incoming:
    """What a request's B3 headers say; `sampled` None = the client left it to us."""

    sampled: bool | None = None
    trace_id: str | None = None
    span_id: str | None = None


def extract(headers: Mapping[bytes, bytes]) -> Incoming:
    """Read B3 headers (single `b3` before the multi ones); ids that are no ids are left out."""
    if single := headers.get(b"b3"):
        parts = single.decode("latin-1").split("-")
        if len(parts) == 1:
            return Incoming(_decision(parts[0]))
        return Incoming(_decision(parts[2]) if len(parts) > 2 else None, _hex(parts[0]), _hex(parts[1]))
    if b"x-b3-flags" in headers and headers[b"x-b3-flags"] == b"1":
        decision: bool | None = True
    else:
        decision = _decision(headers.get(b"x-b3-sampled", b"").decode("latin-1"))
    trace_id, span_id = headers.get(b"x-b3-traceid", b""), headers.get(b"x-b3-spanid", b"")
    return Incoming(decision, _hex(trace_id.decode("latin-1")), _hex(span_id.decode("latin-1")))


def _decision(word: str) -> bool | None:
    return {"1": True, "d": True, "true": True, "0": False, "false": False}.get(word.lower())


def _hex(word: str) -> str | None:
    usable = len(word) in (16, 32) and all(c in "0123456789abcdef" for c in word.lower())
    return word.lower() if usable else None


class Tracer:
    """Decides what is traced, and sends ended spans to Zipkin. An empty URL traces nothing."""

    def __init__(self, meters: Meters, zipkin_url: str, sampling: float, faults: Faults | None = None) -> None:
        self._service = meters.application
        self._faults = faults or Faults({})
        self._url = zipkin_url.rstrip("/") + "/api/v2/spans" if zipkin_url else ""
        self._sampling = sampling
        self._queue: asyncio.Queue[dict[str, object]] = asyncio.Queue()
        self._sent = Counter("zipkin_reporter_spans_total", "Spans sent", registry=meters.registry)
        self._dropped = Counter("zipkin_reporter_spans_dropped_total", "Spans lost", registry=meters.registry)

    def server_span(self, headers: Mapping[bytes, bytes], name: str) -> AbstractContextManager[Span | None]:
        """The SERVER span around a request, or nothing when it is not traced."""
        if not self._url:
            return NO_SPAN
        incoming = extract(headers)
        sampled = random.random() < self._sampling if incoming.sampled is None else incoming.sampled
        if not sampled:
            return NO_SPAN
        trace_id = incoming.trace_id or secrets.token_hex(16)
        parent_id = incoming.span_id if incoming.trace_id else None
        return self.record(Span(self, trace_id, parent_id, "SERVER", name))

    @contextmanager
    def record(self, span: Span) -> Iterator[Span]:
        """Make `span` the current one, and queue it when it ends."""
        token = _current.set(span)
        try:
            yield span
        except BaseException as error:
            span.tags["error"] = type(error).__name__
            raise
        finally:
            _current.reset(token)
            self._enqueue(span)

    def _enqueue(self, span: Span) -> None:
        room = self._faults.strength(TRACE_LOSS) or QUEUE_SPANS
        if self._queue.qsize() < room:
            self._queue.put_nowait(span.to_zipkin(self._service))
        else:
            self._dropped.inc()

    async def run(self) -> None:
        """Send queued spans until cancelled, then what is left."""
        if not self._url:
            return
        timeout = aiohttp.ClientTimeout(total=POST_TIMEOUT_S)
        # Each connection asks for Zipkin's address itself. A shared question from before Zipkin was there hangs until
        # the container's resolver gives it up (5 s and more), and the first spans after Zipkin's start with it.
        own_lookups = aiohttp.TCPConnector(use_dns_cache=False)
        async with aiohttp.ClientSession(connector=own_lookups, timeout=timeout) as session:
            try:
                while True:
                    await asyncio.sleep(FLUSH_INTERVAL_S)
                    await self._flush(session)
            finally:
                await self._flush(session)

    async def _flush(self, session: aiohttp.ClientSession) -> None:
        while not self._queue.empty():
            batch = [self._queue.get_nowait() for _ in range(min(BATCH_SPANS, self._queue.qsize()))]
            delivered = await self._post(session, batch)
            (self._sent if delivered else self._dropped).inc(len(batch))

    async def _post(self, session: aiohttp.ClientSession, batch: list[dict[str, object]]) -> bool:
        try:
            headers = {"Content-Type": "application/json"}
            async with session.post(self._url, data=orjson.dumps(batch), headers=headers) as answer:
                return answer.status < 300
        except (aiohttp.ClientError, TimeoutError):
            return False
