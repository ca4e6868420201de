"""`traces-complete`: a probe's trace is whole, or the check says how many were not."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest

from core.ports import LOOPBACK, Endpoints, ServiceId
from core.words import Verdict
from infra.verify import tracing
from infra.verify.tracing import TraceProbes, is_whole, traces_complete_check
from targets.model import load_profile

ROOT = "00000000000000aa"
Headers = Mapping[str, str]


def span(id: str, service: str, parent: str | None = ROOT) -> dict[str, Any]:
    return {"id": id, "localEndpoint": {"serviceName": service}, **({"parentId": parent} if parent else {})}


GATEWAY, CLIENT, SHOP = span("1", "api-gateway"), span("2", "api-gateway", "1"), span("3", "shopping-service", "2")


class TestWhole:
    @pytest.mark.parametrize(
        ("spans", "whole"),
        [
            ([GATEWAY, CLIENT, SHOP], True),
            ([CLIENT, SHOP], False),
            ([GATEWAY, SHOP], False),
            ([GATEWAY, CLIENT], False),
            ([span("1", "api-gateway", None), span("3", "shopping-service", "1")], True),
            ([], False),
        ],
        ids=["all", "without-root", "without-middle", "one-service", "root-without-parent", "nothing"],
    )
    def test_means_two_services_and_no_span_without_its_parent(self, spans: list[dict[str, Any]], whole: bool) -> None:
        assert is_whole(spans, ROOT) is whole


@contextmanager
def platform(status: int, spans_of: Callable[[Headers], list[dict[str, Any]]]) -> Iterator[Endpoints]:
    """A gateway that answers `status`, and a Zipkin that knows `spans_of` the headers of each traced request."""
    traces: dict[str, list[dict[str, Any]]] = {}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if "/api/v2/trace/" in self.path:
                found = traces.get(self.path.rpartition("/")[2], [])
                return self._answer(200 if found else 404, found)
            traces[self.headers["X-B3-TraceId"]] = spans_of(self.headers)
            return self._answer(status, {})

        def _answer(self, code: int, body: object) -> None:
            self.send_response(code)
            self.end_headers()
            self.wfile.write(json.dumps(body).encode())

        def log_message(self, format: str, *args: object) -> None:
            """Tests stay quiet."""

    with ThreadingHTTPServer((LOOPBACK, 0), Handler) as server:
        Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield Endpoints(dict.fromkeys((ServiceId.GATEWAY, ServiceId.ZIPKIN), f"{LOOPBACK}:{server.server_port}"))
        server.shutdown()


def whole_trace(headers: Headers) -> list[dict[str, Any]]:
    return [span("1", "api-gateway", headers["X-B3-SpanId"]), span("3", "shopping-service", "1")]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracing, "PROBE_EVERY_S", 0.01)
    monkeypatch.setattr(tracing, "READ_BACK_WITHIN_S", 0.2)


def probed(status: int, spans_of: Callable[[Headers], list[dict[str, Any]]]) -> TraceProbes:
    """The probes that a load of at least three probes' length has sent."""
    with platform(status, spans_of) as endpoints:
        probes = TraceProbes(load_profile("portal").at(endpoints), endpoints)
        with probes.beside():
            tracing.wait_for(
                lambda: probes.whole + len(probes.incomplete) + probes.unanswered, lambda seen: seen >= 3, 5, 0.01
            )
    return probes


class TestProbesBesideTheLoad:
    def test_pass_when_every_trace_comes_back_whole(self) -> None:
        check = traces_complete_check(probed(200, whole_trace))
        assert check.verdict is Verdict.PASS
        assert check.evidence["probes"] >= 3
        assert check.evidence["incomplete"] == 0

    def test_fail_when_a_span_is_lost_and_name_a_trace(self) -> None:
        probes = probed(200, lambda headers: whole_trace(headers)[1:])
        check = traces_complete_check(probes)
        assert check.verdict is Verdict.FAIL
        assert probes.incomplete[0] in check.observed

    def test_a_request_that_was_refused_claims_nothing_about_its_trace(self) -> None:
        check = traces_complete_check(probed(429, whole_trace))
        assert check.verdict is Verdict.NO_DATA
        assert check.evidence["unanswered"] >= 3

    def test_a_zipkin_that_does_not_answer_loses_every_trace(self) -> None:
        with platform(200, whole_trace) as endpoints:
            away = Endpoints({**endpoints, ServiceId.ZIPKIN: f"{LOOPBACK}:1"})
            probes = TraceProbes(load_profile("portal").at(endpoints), away)
            with probes.beside():
                tracing.wait_for(lambda: len(probes.incomplete), lambda seen: seen >= 1, 5, 0.01)
        assert traces_complete_check(probes).verdict is Verdict.FAIL
