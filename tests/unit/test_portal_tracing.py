"""B3 headers as they come in, and the spans that come of them."""

import asyncio
import socket
import threading
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from infra.portal import tracing
from infra.portal.faults import GATEWAY_FAULTS, TRACE_LOSS, Faults
from infra.portal.metrics import Meters
from infra.portal.tracing import QUEUE_SPANS, Incoming, Tracer, client_span, extract

TRACE, SPAN = "463ac35c9f6413ad48485a3953bb6124", "a2fb4a1d1a96d312"


def tracer(sampling: float = 0.0, url: str = "http://127.0.0.1:1", faults: Faults | None = None) -> Tracer:
    return Tracer(Meters("test-service", "unit"), url, sampling, faults)


def queued(tracer: Tracer) -> list[dict[str, Any]]:
    return [tracer._queue.get_nowait() for _ in range(tracer._queue.qsize())]


class TestExtract:
    @pytest.mark.parametrize(
        ("headers", "expected"),
        [
            ({}, Incoming()),
            ({b"b3": b"0"}, Incoming(False)),
            ({b"b3": b"1"}, Incoming(True)),
            ({b"b3": f"{TRACE}-{SPAN}-1-05e3ac9a4f6e3b90".encode()}, Incoming(True, TRACE, SPAN)),
            ({b"b3": f"{TRACE}-{SPAN}".encode()}, Incoming(None, TRACE, SPAN)),
            ({b"b3": f"{TRACE}-{SPAN}-d".encode()}, Incoming(True, TRACE, SPAN)),
            ({b"x-b3-sampled": b"0"}, Incoming(False)),
            ({b"x-b3-flags": b"1"}, Incoming(True)),
            (
                {b"x-b3-traceid": TRACE.encode(), b"x-b3-spanid": SPAN.encode(), b"x-b3-sampled": b"1"},
                Incoming(True, TRACE, SPAN),
            ),
            ({b"x-b3-traceid": b"<script>", b"x-b3-spanid": b"short", b"x-b3-sampled": b"1"}, Incoming(True)),
        ],
        ids=["nothing", "deny", "accept", "single", "undecided", "debug", "multi deny", "flags", "multi", "no ids"],
    )
    def test_reads_both_forms(self, headers: dict[bytes, bytes], expected: Incoming) -> None:
        assert extract(headers) == expected


class TestSampling:
    def test_obeys_the_client_who_says_yes(self) -> None:
        quiet = tracer(sampling=0)
        with quiet.server_span({b"x-b3-sampled": b"1"}, "get /posts"):
            pass
        assert len(queued(quiet)) == 1

    def test_obeys_the_client_who_says_no(self) -> None:
        eager = tracer(sampling=1)
        with eager.server_span({b"x-b3-sampled": b"0"}, "get /posts") as span:
            assert span is None
        assert queued(eager) == []

    @pytest.mark.parametrize(("sampling", "spans"), [(1.0, 20), (0.0, 0)])
    def test_decides_itself_when_the_client_is_silent(self, sampling: float, spans: int) -> None:
        own = tracer(sampling)
        for _ in range(20):
            with own.server_span({}, "get /posts"):
                pass
        assert len(queued(own)) == spans

    def test_traces_nothing_without_a_zipkin(self) -> None:
        with tracer(sampling=1, url="").server_span({b"x-b3-sampled": b"1"}, "get /posts") as span:
            assert span is None


class TestSpans:
    def test_hang_together(self) -> None:
        own = tracer()
        headers = {b"b3": f"{TRACE}-{SPAN}-1".encode()}
        with own.server_span(headers, "get /posts"), client_span("mysql", "select") as query:
            assert query is not None
            assert query.headers() == {"X-B3-TraceId": TRACE, "X-B3-SpanId": query.span_id, "X-B3-Sampled": "1"}
        client, server = queued(own)
        assert (server["traceId"], server["parentId"], server["kind"]) == (TRACE, SPAN, "SERVER")
        assert (client["traceId"], client["parentId"], client["kind"]) == (TRACE, server["id"], "CLIENT")
        assert client["remoteEndpoint"] == {"serviceName": "mysql"}
        assert server["timestamp"] <= client["timestamp"]
        assert server["duration"] >= client["duration"]

    def test_name_the_error_that_ended_them(self) -> None:
        own = tracer()
        with (
            pytest.raises(LookupError),
            own.server_span({b"x-b3-sampled": b"1"}, "get /posts"),
            client_span("mysql", "select"),
        ):
            raise LookupError
        assert [span["tags"]["error"] for span in queued(own)] == ["LookupError", "LookupError"]

    def test_outside_a_traced_request_there_are_none(self) -> None:
        with client_span("mysql", "select") as span:
            assert span is None


class TestReporter:
    def test_drops_and_counts_what_the_queue_cannot_take(self) -> None:
        own = tracer(sampling=1)
        for _ in range(QUEUE_SPANS + 3):
            with own.server_span({}, "get /posts"):
                pass
        assert own._dropped._value.get() == 3

    async def test_counts_what_zipkin_does_not_take_and_goes_on(self) -> None:
        own = tracer(sampling=1)  # nobody listens on port 1
        with own.server_span({}, "get /posts"):
            pass
        running = asyncio.create_task(own.run())
        async with asyncio.timeout(5):
            while not own._dropped._value.get():
                await asyncio.sleep(0.01)
        running.cancel()
        assert isinstance((await asyncio.gather(running, return_exceptions=True))[0], asyncio.CancelledError)

    async def test_does_not_wait_for_a_question_for_its_address_that_was_asked_before_zipkin_was_there(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        asked, given_up = [], threading.Event()

        def look_up(host: str, *_: object, **__: object) -> list[tuple[Any, ...]]:
            asked.append(host)
            if len(asked) == 1:  # as a container's resolver that forwards a name nobody has to a server nobody answers
                given_up.wait(10)
                raise socket.gaierror(socket.EAI_NONAME, "nobody has this name")
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

        async def taken(_: web.Request) -> web.Response:
            return web.Response(status=202)

        monkeypatch.setattr(socket, "getaddrinfo", look_up)
        monkeypatch.setattr(tracing, "POST_TIMEOUT_S", 0.3)
        zipkin = web.Application()
        zipkin.router.add_post("/api/v2/spans", taken)
        async with TestServer(zipkin, host="127.0.0.1") as server:
            port = server.port
            own = tracer(sampling=1, url="http://zipkin.test:9411")
            running = asyncio.create_task(own.run())
            try:
                async with asyncio.timeout(5):
                    for counter in (own._dropped, own._sent):  # the first span is lost, the second arrives
                        with own.server_span({}, "get /posts"):
                            pass
                        while not counter._value.get():
                            await asyncio.sleep(0.01)
            finally:
                given_up.set()
                running.cancel()
                await asyncio.gather(running, return_exceptions=True)
        assert (own._dropped._value.get(), own._sent._value.get()) == (1, 1)

    def test_that_loses_traces_keeps_one_span_a_flush_and_counts_the_others(self) -> None:
        faults = Faults(GATEWAY_FAULTS)
        faults.switch_on(TRACE_LOSS)
        own = tracer(sampling=1, faults=faults)
        with own.server_span({}, "get /posts"), client_span("blog-service", "get"):
            pass
        assert [span["kind"] for span in queued(own)] == ["CLIENT"]
        assert own._dropped._value.get() == 1

    def test_is_whole_again_when_the_fault_is_switched_off(self) -> None:
        faults = Faults(GATEWAY_FAULTS)
        own = tracer(sampling=1, faults=faults)
        faults.switch_on(TRACE_LOSS)
        faults.switch_off(TRACE_LOSS)
        with own.server_span({}, "get /posts"), client_span("blog-service", "get"):
            pass
        assert len(queued(own)) == 2
