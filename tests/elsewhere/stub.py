"""A target in the namespace: it answers a login, lists and details as the portal does, and lures its clients away."""

from __future__ import annotations

import json
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

    def answer(self, method: str, path: str) -> tuple[int, dict[str, str], Any]:
        """Status, headers, body."""
        self.asked[path.partition("?")[0]] += 1
        lures = {"Link": f"<{LURE}>; rel=next", "Content-Location": LURE, "Refresh": f"0; url={LURE}"}
        if path.startswith("/api/v1/auth/login"):
            return 200, lures, {"accessToken": "a-token", "expiresIn": 900, "next": LURE}
        if path.startswith("/api/v1/blog/posts?"):
            return 200, lures, {"items": [{"id": post, "url": LURE} for post in POSTS], "next": LURE, "links": [LURE]}
        if self.redirect is not None:
            status, to = self.redirect(next(self.numbers))
            return status, {"Location": to}, None
        return 200, lures, {"id": path.rpartition("/")[2], "next": LURE}


@contextmanager
def stub() -> Iterator[Stub]:
    """The target at 127.0.0.1:8080 while the block runs."""
    told = Stub()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
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

    with ThreadingHTTPServer(("127.0.0.1", PORT), Handler) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        try:
            yield told
        finally:
            server.shutdown()
