"""A target in the namespace: it answers a login, lists and details as the portal does, and lures its clients away."""

from __future__ import annotations

import json
import ssl
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from typing import Any

LURE = "http://192.0.2.1:8080/lure"
"""Where it would have clients go."""
PORT = 8080
POSTS = [f"{number:024x}" for number in range(20)]
REDIRECTS = (301, 302, 307, 308)


class Stub:
    """What it was asked, and how it answers; `redirect` gives (status, Location) for the n-th request of the load."""

    def __init__(self) -> None:
        self.asked: Counter[str] = Counter()
        self.redirect: Callable[[int], tuple[int, str]] | None = None
        self.numbers = count()
        self.url = ""
        self.login_status = 200
        self.bodies: list[str] = []

    def bodies_with(self, text: str) -> int:
        """How many requests had it in their body."""
        return sum(text in body for body in self.bodies)

    def answer(self, method: str, path: str) -> tuple[int, dict[str, str], Any]:
        """Status, headers, body."""
        self.asked[path.partition("?")[0]] += 1
        lures = {"Link": f"<{LURE}>; rel=next", "Content-Location": LURE, "Refresh": f"0; url={LURE}"}
        if path.startswith("/api/v1/auth/login"):
            return self.login_status, lures, {"accessToken": "a-token", "expiresIn": 900, "next": LURE}
        if path.startswith("/api/v1/blog/posts?"):
            return 200, lures, {"items": [{"id": post, "url": LURE} for post in POSTS], "next": LURE, "links": [LURE]}
        if self.redirect is not None:
            status, to = self.redirect(next(self.numbers))
            return status, {"Location": to}, None
        return 200, lures, {"id": path.rpartition("/")[2], "next": LURE}


@contextmanager
def stub(port: int = PORT, tls: ssl.SSLContext | None = None) -> Iterator[Stub]:
    """The target at 127.0.0.1, port 8080 or another (0: any), while the block runs; with `tls` over https."""
    told = Stub()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            told.bodies.append(self.rfile.read(int(self.headers.get("Content-Length", 0))).decode())
            status, headers, data = told.answer(self.command, self.path)
            body = json.dumps({"success": True, "data": data}).encode()
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", port), Handler) as server:
        server.daemon_threads = True
        told.url = f"{'https' if tls else 'http'}://127.0.0.1:{server.server_port}"
        if tls:
            server.socket = tls.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        try:
            yield told
        finally:
            server.shutdown()
