"""infra.room: disk and watermark, as Elasticsearch itself reads its settings."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from infra.room import disk_problem, elasticsearch_problem

GB = 2**30
DISK = "cluster.routing.allocation.disk."
DEFAULTS = {f"{DISK}watermark.high": "90%", f"{DISK}watermark.high.max_headroom": "150GB"}


@contextmanager
def elasticsearch(settings: dict[str, Any], total_gb: float, free_gb: float) -> Iterator[str]:
    """Answers the two questions of `elasticsearch_problem` as Elasticsearch 8 does."""
    disk = {"total": {"total_in_bytes": int(total_gb * GB), "available_in_bytes": int(free_gb * GB)}}
    answers = {
        "/_cluster/settings": {"defaults": DEFAULTS, "persistent": {}, "transient": {}} | settings,
        "/_nodes/stats/fs": {"nodes": {"x": {"name": "one", "fs": disk}}},
    }

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = json.dumps(answers[self.path.partition("?")[0]]).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


class TestElasticsearchProblem:
    @pytest.mark.parametrize(
        ("settings", "total_gb", "free_gb", "said"),
        [
            pytest.param({}, 1000, 101, "", id="more free than the default asks for"),
            pytest.param({}, 1000, 99, "'one' has 9.9% of its disk free, beyond its high watermark (90%)", id="less"),
            pytest.param({}, 4000, 151, "", id="a large disk needs no more than the headroom"),
            pytest.param({}, 4000, 149, "high watermark (90%)", id="a large disk needs the headroom"),
            pytest.param({"persistent": {f"{DISK}watermark.high": "1gb"}}, 100, 2, "", id="bytes, enough of them"),
            pytest.param({"persistent": {f"{DISK}watermark.high": "1gb"}}, 100, 0.5, "(1gb)", id="bytes, too few"),
            pytest.param({"transient": {f"{DISK}watermark.high": "0.99"}}, 100, 2, "", id="a ratio, transient"),
            pytest.param({"transient": {f"{DISK}threshold_enabled": "false"}}, 100, 0, "", id="switched off"),
        ],
    )
    def test_follows_the_nodes_high_watermark(
        self, settings: dict[str, Any], total_gb: float, free_gb: float, said: str
    ) -> None:
        with elasticsearch(settings, total_gb, free_gb) as url:
            found = elasticsearch_problem(url)
        assert said in found
        assert bool(found) is bool(said)

    def test_is_not_for_one_that_does_not_answer(self) -> None:
        assert elasticsearch_problem("http://127.0.0.1:9") == ""


class TestDiskProblem:
    def test_is_a_disk_with_less_room_than_that(self, tmp_path: Path) -> None:
        assert disk_problem(tmp_path, least_free_mb=0) == ""
        assert "MB left, less than 1000000000000" in disk_problem(tmp_path, least_free_mb=1e12)
