"""Spans of the load: a bounded number, spread over it, from a Zipkin that need not be there."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import orjson
import pytest

from report.spans import SLICES, TRACES_A_SLICE, collect_spans, load_spans
from report.windows import Span

BEGIN = datetime(2026, 11, 27, 12, tzinfo=UTC)


def lasting(seconds: float) -> Span:
    return Span(BEGIN, BEGIN + timedelta(seconds=seconds))


@contextmanager
def zipkin(status: int = 200) -> Iterator[tuple[str, list[dict[str, str]]]]:
    """(URL, questions so far): answers one trace of two spans, with the moment of the question's end in its id."""
    asked: list[dict[str, str]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            question = {name: value[0] for name, value in parse_qs(urlsplit(self.path).query).items()}
            asked.append(question)
            self.send_response(status)
            self.end_headers()
            self.wfile.write(orjson.dumps([trace_until(int(question["endTs"]))]))

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", asked
        finally:
            server.shutdown()


def trace_until(end_ms: int) -> list[dict[str, object]]:
    id = f"{end_ms:016x}"
    server = {"traceId": id, "id": id, "kind": "SERVER", "name": "get /products", "timestamp": end_ms * 1000 - 9000}
    client = {"traceId": id, "id": "b", "parentId": id, "kind": "CLIENT", "name": "select", "timestamp": end_ms * 1000}
    return [
        {**server, "duration": 7000, "localEndpoint": {"serviceName": "shop"}, "tags": {"error": "TimeoutError"}},
        {**client, "duration": 5000, "localEndpoint": {"serviceName": "shop"}, "remoteEndpoint": {"serviceName": "db"}},
    ]


class TestCollectSpans:
    def test_asks_for_a_bounded_number_out_of_each_slice_of_each_part(self, tmp_path: Path) -> None:
        with zipkin() as (url, asked):
            collect_spans(url, [lasting(80), Span(BEGIN + timedelta(hours=1), BEGIN + timedelta(hours=25))], tmp_path)
        assert [question["limit"] for question in asked] == [str(TRACES_A_SLICE)] * 2 * SLICES
        ends = {int(question["endTs"]) for question in asked}
        assert len(ends) == 2 * SLICES
        assert min(ends) == (BEGIN + timedelta(seconds=80 / SLICES + 1)).timestamp() * 1000  # a second of margin

    def test_a_burst_is_one_slice(self, tmp_path: Path) -> None:
        with zipkin() as (url, asked):
            assert collect_spans(url, [lasting(1.5)], tmp_path) == 2
        assert [question["lookback"] for question in asked] == ["3500"]

    def test_keeps_what_self_time_needs(self, tmp_path: Path) -> None:
        with zipkin() as (url, _):
            collect_spans(url, [lasting(1.5)], tmp_path)
        first, second = load_spans(tmp_path).to_dict("records")
        assert (first["service"], first["kind"], first["duration_s"], first["error"]) == ("shop", "SERVER", 0.007, True)
        assert (second["parent"], second["remote"], second["error"]) == (first["id"], "db", False)
        assert second["time"] == BEGIN + timedelta(seconds=2.5)

    def test_a_span_that_two_slices_have_is_kept_once(self, tmp_path: Path) -> None:
        with zipkin() as (url, asked):
            assert collect_spans(url, [lasting(1.5), lasting(1.5)], tmp_path) == 2
        assert len(asked) == 2

    @pytest.mark.parametrize("status", [404, 500])
    def test_a_zipkin_that_cannot_answer_is_left_alone_and_costs_no_run(self, status: int, tmp_path: Path) -> None:
        with zipkin(status) as (url, asked):
            assert collect_spans(url, [lasting(80)], tmp_path) == 0
        assert len(asked) < SLICES
        assert load_spans(tmp_path).empty

    def test_a_zipkin_that_is_not_there_costs_no_run(self, tmp_path: Path) -> None:
        with zipkin() as (url, _):
            pass
        assert collect_spans(url, [lasting(1.5)], tmp_path) == 0


class TestLoadSpans:
    def test_a_broken_file_is_no_spans(self, tmp_path: Path) -> None:
        (tmp_path / "metrics").mkdir()
        (tmp_path / "metrics" / "spans.parquet").write_bytes(b"no parquet")
        assert load_spans(tmp_path).empty
