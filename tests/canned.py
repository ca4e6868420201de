"""A small HTTP server with canned answers, and a record of what was asked."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import orjson

LOGIN_PAGE = "<!doctype html><html><head><title>Sign in</title></head><body>Who are you?</body></html>"


@dataclass(frozen=True)
class Answer:
    """body: text is HTML, anything else JSON."""

    body: Any
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass
class Canned:
    """`host:port`, and `METHOD /path?query` of each request in order."""

    address: str
    asked: list[str]


@contextmanager
def canned(answers: Mapping[str, Answer], otherwise: Answer = Answer(LOGIN_PAGE)) -> Iterator[Canned]:
    """Answers by `METHOD /path`; everything else is a login page."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            self.rfile.read(int(self.headers.get("content-length", 0)))
            asked.append(f"{self.command} {self.path}")
            found = answers.get(f"{self.command} {self.path.partition('?')[0]}", otherwise)
            page = isinstance(found.body, str)
            body = found.body.encode() if page else orjson.dumps(found.body)
            self.send_response_only(found.status)
            kind = "text/html" if page else "application/json"
            headers = {"content-type": kind, "date": self.date_time_string(), **found.headers}
            for name, value in {**headers, "content-length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        do_GET = do_HEAD = do_POST = do_DELETE = answer

        def log_message(self, format: str, *args: Any) -> None:
            """Not on the terminal."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield Canned(f"127.0.0.1:{server.server_port}", asked)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
