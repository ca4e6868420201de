"""core.http: a request goes to the address that was asked for, and nowhere else."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
import trustme

from core.errors import ConfigError, TargetRefused
from core.http import _to, http_client


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


def answer_localhost(monkeypatch: pytest.MonkeyPatch, *answers: list[str]) -> None:
    """Have the name `localhost` stand for these addresses, the next list at each question."""
    real, ahead = socket.getaddrinfo, iter(answers)

    def getaddrinfo(host: str, *rest: Any, **named: Any) -> list[Any]:
        if host != "localhost":
            return list(real(host, *rest, **named))
        return [(0, 0, 0, "", (address, 0)) for address in next(ahead)]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)


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

    @pytest.mark.parametrize(
        ("address", "accepted"), [("127.0.0.1", "identity"), ("::1", "identity"), ("10.20.0.5", "gzip, deflate")]
    )
    def test_asks_other_machines_only_for_a_compressed_answer(self, address: str, accepted: str) -> None:
        asked = httpx.Request("GET", "http://perf.internal/", headers={"Accept-Encoding": "gzip, deflate"})
        assert _to(address, asked).headers["Accept-Encoding"] == accepted

    def test_sends_nothing_to_a_place_that_is_not_allowed(self) -> None:
        with http_client() as client, pytest.raises(TargetRefused, match=r"192\.0\.2\.1"):
            client.get("http://192.0.2.1/")

    def test_asks_for_a_names_address_again_at_every_request(
        self, server: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        answer_localhost(monkeypatch, ["127.0.0.1"], ["192.0.2.1"])
        by_name = server.replace("127.0.0.1", "localhost")
        with http_client() as client:
            assert client.get(f"{by_name}/200").status_code == 200
            with pytest.raises(TargetRefused, match=r"'localhost' is 192\.0\.2\.1"):
                client.get(f"{by_name}/200")

    def test_tries_a_names_addresses_in_turn(self, server: str, monkeypatch: pytest.MonkeyPatch) -> None:
        answer_localhost(monkeypatch, ["127.0.0.9", "127.0.0.1"])  # nobody listens on the first
        with http_client() as client:
            assert client.get(f"{server.replace('127.0.0.1', 'localhost')}/200").status_code == 200

    def test_gives_up_after_its_bound(self) -> None:
        with http_client(timeout_s=1.5) as client:
            assert client.timeout == httpx.Timeout(1.5)


class TestCertificates:
    """A server whose certificate is from an authority of the test's own."""

    ca = trustme.CA()

    @pytest.fixture
    def https(self) -> Iterator[str]:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.ca.issue_cert("localhost").configure_cert(context)
        with ThreadingHTTPServer(("127.0.0.1", 0), _Sender) as listening:
            listening.socket = context.wrap_socket(listening.socket, server_side=True, do_handshake_on_connect=False)
            threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
            yield f"https://localhost:{listening.server_port}"
            listening.shutdown()

    @pytest.fixture
    def authority(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.ca.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
        monkeypatch.setenv("SUITE_CA_FILE", str(tmp_path / "ca.pem"))

    def test_of_an_unknown_authority_are_refused(self, https: str) -> None:
        with http_client() as client, pytest.raises(httpx.ConnectError, match="certificate verify failed"):
            client.get(f"{https}/200")

    @pytest.mark.usefixtures("authority")
    def test_of_the_authority_that_the_settings_name_are_accepted(self, https: str) -> None:
        with http_client() as client:
            assert client.get(f"{https}/200").status_code == 200

    @pytest.mark.usefixtures("authority")
    def test_made_out_to_another_name_are_refused(self, https: str) -> None:
        with http_client() as client, pytest.raises(httpx.ConnectError, match="certificate verify failed"):
            client.get(f"{https.replace('localhost', '127.0.0.1')}/200")

    @pytest.mark.parametrize("content", [None, "no certificate"])
    def test_need_a_file_of_authorities_that_can_be_read(
        self, content: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        if content is not None:
            (tmp_path / "ca.pem").write_text(content, encoding="utf-8")
        monkeypatch.setenv("SUITE_CA_FILE", str(tmp_path / "ca.pem"))
        with pytest.raises(ConfigError, match="no certificates can be read"):
            http_client()
