"""core.http: a request goes to the address that was asked for, and nowhere else."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest

from core.http import http_client


class _Sender(BaseHTTPRequestHandler):
    """Answers 200, or sends on to wherever /<status>/<address> says."""

    def do_GET(self) -> None:
        _, status, *address = self.path.split("/", 2)
        self.send_response(int(status))
        if address:
            self.send_header("Location", address[0])
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def server() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Sender) as listening:
        threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield f"http://127.0.0.1:{listening.server_port}"
        listening.shutdown()


class TestHttpClient:
    @pytest.mark.parametrize("status", [301, 302, 307, 308])
    def test_does_not_follow_a_redirect(self, server: str, status: int) -> None:
        with http_client() as client:
            assert client.get(f"{server}/{status}/http://192.0.2.1/").status_code == status

    @pytest.mark.parametrize("variable", ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"])
    def test_does_not_go_through_a_proxy_of_the_environment(
        self, server: str, variable: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delenv("NO_PROXY", raising=False)
        monkeypatch.delenv("no_proxy", raising=False)
        monkeypatch.setenv(variable, "http://127.0.0.1:9")  # nobody listens there
        with http_client() as client:
            assert client.get(f"{server}/200").status_code == 200

    def test_gives_up_after_its_bound(self) -> None:
        with http_client(timeout_s=1.5) as client:
            assert client.timeout == httpx.Timeout(1.5)
